import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { RevocationCause, type RevocationSchema } from "../gen/muster/v1/revocation_pb.ts";
import type { WatchRevocationsResponseSchema } from "../gen/muster/v1/token_service_pb.ts";
import type { Revocation, RevocationEvent, RevocationMessage } from "../revocations/revocations.ts";

type WatchInit = MessageInitShape<typeof WatchRevocationsResponseSchema>;
type RevocationInit = MessageInitShape<typeof RevocationSchema>;

/** One message of a watch in its form on the wire. */
export const watchMessage = ({ resumeToken, event }: RevocationMessage): WatchInit => ({
  resumeToken,
  event: eventMessage(event),
});

function eventMessage(event: RevocationEvent): NonNullable<WatchInit["event"]> {
  switch (event.kind) {
    case "revocation":
      return { case: "revocation", value: revocationMessage(event.revocation) };
    case "snapshotComplete":
      return { case: "snapshotComplete", value: {} };
    case "heartbeat":
      return { case: "heartbeat", value: { stale: event.stale } };
    case "goodbye":
      return { case: "goodbye", value: { reconnectAfter: durationFromMs(event.reconnectAfterMs) } };
  }
}

const revocationMessage = ({ subject, cause, forgetAfterTime }: Revocation): RevocationInit => ({
  subject: subjectMessage(subject),
  forgetAfterTime: timestampFromDate(forgetAfterTime),
  cause:
    cause in RevocationCause ? RevocationCause[cause as keyof typeof RevocationCause] : RevocationCause.UNSPECIFIED,
});

function subjectMessage(subject: Revocation["subject"]): NonNullable<RevocationInit["subject"]> {
  if ("tokenId" in subject) return { case: "tokenId", value: subject.tokenId };
  if ("sessionId" in subject) return { case: "sessionId", value: subject.sessionId };
  if ("keyId" in subject) return { case: "keyId", value: subject.keyId };
  if ("userId" in subject)
    return {
      case: "user",
      value: { userId: subject.userId, beforeTime: timestampFromDate(subject.beforeTime) },
    };
  return { case: undefined };
}
