"""What a backend in Python does with Muster, by grpcio and stubs made from proto/. Prints what came of it as JSON.

Arguments: the folder of the stubs, host:port, the access key.
"""

import json
import sys
import threading
import time

stubs, address, access_key = sys.argv[1:]
sys.path.insert(0, stubs)

import grpc  # noqa: E402
from google.protobuf import duration_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from muster.v1 import (  # noqa: E402
    presence_pb2,
    presence_service_pb2,
    presence_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)

METADATA = [("authorization", "Bearer " + access_key)]
LIMIT = 20  # seconds

channel = grpc.insecure_channel(address)
users = user_service_pb2_grpc.UserServiceStub(channel)
tokens = token_service_pb2_grpc.TokenServiceStub(channel)
presences = presence_service_pb2_grpc.PresenceServiceStub(channel)


def ref(external_id):
    return user_pb2.UserRef(external_id=external_id)


def refusal(call):
    """The code and the reason that a call is refused with."""
    try:
        call()
    except grpc.RpcError as error:
        status = status_pb2.Status()
        for key, value in error.trailing_metadata():
            if key == "grpc-status-details-bin":
                status.ParseFromString(value)
        info = error_details_pb2.ErrorInfo()
        unpacked = any(detail.Unpack(info) for detail in status.details)
        return {"code": error.code().name, "reason": info.reason if unpacked else None, "domain": info.domain}
    return None


def watch():
    """The statuses that a watcher is told of while the user comes online."""
    seen = []
    stream = presences.WatchPresence(
        presence_service_pb2.WatchPresenceRequest(refs=[ref("ada")]), metadata=METADATA, timeout=LIMIT
    )
    for message in stream:
        kind = message.WhichOneof("event")
        if kind == "update":
            seen += [presence.status for presence in message.update.presences]
        if kind == "snapshot_complete":
            online = presence_pb2.Presence(status="online", ttl=duration_pb2.Duration(seconds=60))
            request = presence_service_pb2.SetPresenceRequest(ref=ref("ada"), presence=online)
            threading.Thread(target=lambda: presences.SetPresence(request, metadata=METADATA, timeout=LIMIT)).start()
        if "online" in seen:
            stream.cancel()
            return seen
    return seen


def deadline():
    """How a stream ends whose deadline passes, and whether it took about as long."""
    began = time.monotonic()
    try:
        for _ in presences.WatchPresence(
            presence_service_pb2.WatchPresenceRequest(refs=[ref("ada")]), metadata=METADATA, timeout=0.5
        ):
            pass
    except grpc.RpcError as error:
        return {"code": error.code().name, "waited": time.monotonic() - began >= 0.4}
    return None


def upsert(external_id, **fields):
    request = user_service_pb2.UpsertUserRequest(external_id=external_id, user=user_pb2.User(**fields))
    return users.UpsertUser(request, metadata=METADATA, timeout=LIMIT)


def get(external_id, metadata):
    return users.GetUser(user_service_pb2.GetUserRequest(ref=ref(external_id)), metadata=metadata, timeout=LIMIT)


first = upsert("ada", name="Ada Lovelace", tags=["engine"])
again = upsert("ada", name="Ada, Countess of Lovelace")
got = get("ada", METADATA).user
token = tokens.IssueToken(token_service_pb2.IssueTokenRequest(ref=ref("ada")), metadata=METADATA, timeout=LIMIT)
print(
    json.dumps(
        {
            "created": [first.created, again.created],
            "same_user": first.user.id == again.user.id == got.id,
            "user": {"name": got.name, "tags": list(got.tags)},
            "token_parts": len(token.signed_token.split(".")),
            "called_as_user": get("ada", [("authorization", "Bearer " + token.signed_token)]).user.name,
            "unknown_user": refusal(lambda: get("nobody", METADATA)),
            "no_credential": refusal(lambda: get("ada", [])),
            "broken_rule": refusal(lambda: upsert("bob", login="x")),
            "watched": watch(),
            "deadline": deadline(),
        }
    )
)
