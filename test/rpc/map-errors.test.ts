import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ERRORS, MusterError, type Reason } from "../../src/errors.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { statusOf, wireError } from "../../src/rpc/map-errors.ts";

const { signal } = new AbortController();
const quiet = createLogger("silent");

const infoOf = (error: ConnectError) => {
  const [detail] = error.details;
  if (!detail || !("desc" in detail) || detail.desc.typeName !== ErrorInfoSchema.typeName)
    throw new Error("no ErrorInfo");
  return detail.value as { reason: string; domain: string; metadata: Record<string, string> };
};

test.for(Object.keys(ERRORS) as Reason[])("%s goes out with the code of the table and its reason", (reason) => {
  const error = wireError(new MusterError(reason, { metadata: { a: "b" } }), signal, quiet);
  expect(Code[error.code].toLowerCase()).toBe(ERRORS[reason].code.replaceAll("_", ""));
  expect(infoOf(error)).toEqual({ reason, domain: "muster.v1", metadata: { a: "b" } });
});

test("a fault nobody foresaw gives an id that stands in the log with the cause, and nothing of the cause", () => {
  const lines: string[] = [];
  const logger = createLogger("info", { write: (line) => void lines.push(line) });
  const cause = new Error('relation "users" does not exist at /srv/secret/path');
  const error = wireError(cause, signal, logger);
  const { reason, metadata } = infoOf(error);
  expect([error.code, error.rawMessage, reason]).toEqual([Code.Internal, "Internal error", "INTERNAL"]);
  expect(error.details).toHaveLength(1);
  expect(Object.keys(metadata)).toEqual(["error_id"]);
  const logged = JSON.parse(lines[0] ?? "{}") as { error_id: string; err: { message: string } };
  expect(logged.error_id).toBe(metadata["error_id"]);
  expect(logged.err.message).toBe(cause.message);
});

test("whatever falls out of a call that was given up, the caller is told of the giving up", () => {
  const given = (reason: unknown) => {
    const controller = new AbortController();
    controller.abort(reason);
    return infoOf(wireError(new Error("query was cancelled"), controller.signal, quiet)).reason;
  };
  expect(given(new ConnectError("late", Code.DeadlineExceeded))).toBe("DEADLINE_EXCEEDED");
  expect(given(new ConnectError("left", Code.Canceled))).toBe("CANCELLED");
  expect(given(new MusterError("SHUTTING_DOWN"))).toBe("SHUTTING_DOWN");
});

test("when to come again is told in whole milliseconds, never too soon, however fine the clock is", () => {
  const retryAfter = (retryAfterMs: number) => {
    const status = statusOf(new MusterError("PROVIDER_UNAVAILABLE", { retryAfterMs }), signal, quiet);
    const [, packed] = status.details;
    const { retryDelay } = (packed && anyUnpack(packed, RetryInfoSchema)) ?? {};
    return retryDelay && durationMs(retryDelay);
  };
  expect([29_987.123_456, 0.1, 1_000].map(retryAfter)).toEqual([29_988, 1, 1_000]);
});

test("inside an answer a failure has the same code, message and details", () => {
  const status = statusOf(new MusterError("LOGIN_TAKEN"), signal, quiet);
  expect(status).toMatchObject({ code: Code.AlreadyExists, message: ERRORS.LOGIN_TAKEN.message });
  expect(status.details.map(({ typeUrl }) => typeUrl)).toEqual(["type.googleapis.com/google.rpc.ErrorInfo"]);
});
