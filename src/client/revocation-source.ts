import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { Revocation } from "../gen/muster/v1/revocation_pb.ts";
import { TokenService, type WatchRevocationsResponse } from "../gen/muster/v1/token_service_pb.ts";
import type { RevocationMessage } from "./revocation-follower.ts";
import type { RevokedSubject } from "./revocation-set.ts";

/** Where a verifier hears of revocations. */
export interface RevocationSource extends AsyncDisposable {
  /** Opens the stream, from the beginning (an empty token) or from a place of an earlier one. */
  open(resumeToken: Uint8Array, signal: AbortSignal): AsyncIterable<RevocationMessage>;
  /** The longest silence on a stream that lives, in milliseconds. */
  readonly maxSilenceMs: number;
}

/** Two heartbeats: Muster sends one after 5 s of silence. */
const MAX_SILENCE_MS = 10_000;

/** The stream of revocations of the project that the access key is of, over a connection of its own. */
export function revocationSource(url: string, accessKey: string): RevocationSource {
  const connection = new Http2SessionManager(url);
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${accessKey}`);
    return next(request);
  };
  const transport = createGrpcTransport({ baseUrl: url, interceptors: [authorize], sessionManager: connection });
  const client = createClient(TokenService, transport);
  return {
    maxSilenceMs: MAX_SILENCE_MS,
    async *open(resumeToken, signal) {
      for await (const message of client.watchRevocations({ resumeToken }, { signal })) yield messageOf(message);
    },
    async [Symbol.asyncDispose]() {
      connection.abort();
    },
  };
}

function messageOf({ resumeToken, event }: WatchRevocationsResponse): RevocationMessage {
  switch (event.case) {
    case "revocation":
      return { resumeToken, ...revokedOf(event.value) };
    case "snapshotComplete":
      return { resumeToken, complete: true };
    case "heartbeat":
      return { resumeToken, stale: event.value.stale };
    default:
      return { resumeToken };
  }
}

/** What a later version of the contract names besides concerns nothing that this one knows of. */
function revokedOf({ subject, forgetAfterTime }: Revocation): Pick<RevocationMessage, "revoked"> {
  const revoked = subjectOf(subject);
  const forgetAfter = forgetAfterTime ? timestampMs(forgetAfterTime) : Number.POSITIVE_INFINITY;
  return revoked ? { revoked: { subject: revoked, forgetAfter } } : {};
}

function subjectOf(subject: Revocation["subject"]): RevokedSubject | undefined {
  switch (subject.case) {
    case "tokenId":
      return { tokenId: subject.value };
    case "sessionId":
      return { sessionId: subject.value };
    case "keyId":
      return { keyId: subject.value };
    case "user": {
      const { userId, beforeTime } = subject.value;
      return { userId, beforeTime: beforeTime ? timestampMs(beforeTime) : Number.POSITIVE_INFINITY };
    }
    default:
      return undefined;
  }
}
