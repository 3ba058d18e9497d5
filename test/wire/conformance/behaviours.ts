import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { MusterError } from "../../../src/errors.ts";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import { UserSchema } from "../../../src/gen/muster/v1/user_pb.ts";
import type { UserService } from "../../../src/gen/muster/v1/user_service_pb.ts";
import { CALLER } from "../../../src/rpc/caller.ts";
import { CLIENT_ADDRESS } from "../../../src/rpc/client-address.ts";

type Answer = { name?: string };
/** What a service may do with a call, by the external id of the user that it is asked for. */
export type Behaviour = (context: HandlerContext) => Answer | Promise<Answer>;

export const WRITE_MAX_BYTES = 64 * 1024;

/** Waits until it is given up. */
export const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

export const BEHAVIOURS = {
  nothing: () => ({}),
  answers: () => ({ name: "Zoë 🦆" }),
  "answers later": async () => {
    await pause(5);
    return { name: "later" };
  },
  "sets headers and trailers": ({ responseHeader, responseTrailer }) => {
    responseHeader.set("x-one", "1");
    responseHeader.append("x-many", "a");
    responseHeader.append("x-many", "b");
    responseHeader.set("x-bytes-bin", "AAEC");
    responseHeader.append("set-cookie", "a=1; Path=/");
    responseHeader.append("set-cookie", "b=2; Path=/");
    responseTrailer.set("x-after", "2");
    responseTrailer.append("x-after-many", "a");
    responseTrailer.append("x-after-many", "b");
    return { name: "headers" };
  },
  "sets headers and fails": ({ responseHeader, responseTrailer }) => {
    responseHeader.set("x-one", "1");
    responseHeader.append("set-cookie", "a=1; Path=/");
    responseTrailer.set("x-after", "2");
    throw new MusterError("USER_NOT_FOUND");
  },
  "replaces protocol headers": ({ responseHeader }) => {
    responseHeader.set("cache-control", "max-age=60");
    responseHeader.set("vary", "accept");
    return { name: "replaced" };
  },
  "answers at length": () => ({ name: "long ".repeat(2_000) }),
  "answers just below what is compressed": () => ({ name: "x".repeat(4_080) }),
  "answers beyond the limit": () => ({ name: "x".repeat(WRITE_MAX_BYTES) }),
  "answers what cannot be written": () => ({ name: 5 as unknown as string }),
  "fails by a reason": () => {
    throw new MusterError("USER_NOT_FOUND");
  },
  "fails by a reason with details": () => {
    throw new MusterError("RATE_LIMITED", { retryAfterMs: 1_500, metadata: { field: "ü" } });
  },
  "fails by violations": () => {
    const violations = [{ field: "user.name", description: "must be ünïcødé % \r\n" }];
    throw new MusterError("REQUEST_INVALID", { violations });
  },
  "fails for the caller": () => {
    throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  },
  "fails for the store": () => {
    throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1 });
  },
  "fails at length": () => {
    const violations = Array.from({ length: 400 }, (_, n) => ({ field: `user.tags[${n}]`, description: "is bad" }));
    throw new MusterError("REQUEST_INVALID", { violations });
  },
  "fails unforeseen": () => {
    throw new Error("unforeseen");
  },
  "rejects with no error": () => Promise.reject("a text"),
  "fails by an error of Connect": () => {
    const metadata = { "x-told": "1", "content-type": "text/plain", "grpc-status": "99" };
    const error = new ConnectError("no such ü", Code.NotFound, metadata);
    error.details.push({ desc: ErrorInfoSchema, value: { reason: "R", domain: "d", metadata: { k: "v" } } });
    throw error;
  },
  "fails by another error of Connect": () => {
    throw new ConnectError("odd", Code.DataLoss);
  },
  "gives up when it is too late": ({ signal }) => untilAborted(signal),
  "does not mind being late": async () => {
    await pause(60);
    return { name: "late" };
  },
  "tells what it was told": (context) => ({ name: told(context) }),
} as const satisfies Record<string, Behaviour>;

export type BehaviourName = keyof typeof BEHAVIOURS;

/** All that a service is told of a call, but for what differs from call to call. */
function told(context: HandlerContext): string {
  const { service, method, protocolName, requestMethod, url, signal, requestHeader, responseHeader, values } = context;
  const left = context.timeoutMs();
  return JSON.stringify({
    method: `${service.typeName}/${method.name}`,
    protocolName,
    requestMethod,
    path: new URL(url).pathname,
    scheme: new URL(url).protocol,
    aborted: signal.aborted,
    hours: left === undefined ? undefined : Math.ceil(left / 3_600_000),
    sent: ["x-sent", "x-sent-twice", "x-bytes-bin", "authorization", "cookie", "traceparent"].map((name) =>
      requestHeader.get(name),
    ),
    type: responseHeader.get("content-type"),
    encoding: responseHeader.get("grpc-encoding"),
    caller: values.get(CALLER).kind,
    address: values.get(CLIENT_ADDRESS),
  });
}

async function behave(name: string, context: HandlerContext) {
  const behaviour: Behaviour = BEHAVIOURS[name as BehaviourName] ?? BEHAVIOURS.answers;
  return create(UserSchema, { externalId: name, ...(await behaviour(context)) });
}

/** A service that does what it is asked to; `began` is called when it begins. */
export const usersOf = (began: () => void): Partial<ServiceImpl<typeof UserService>> => ({
  async getUser({ ref }, context) {
    began();
    return { user: await behave(String(ref?.ref.value ?? ""), context) };
  },
  async upsertUser({ externalId }, context) {
    began();
    return { user: await behave(externalId, context), created: true };
  },
});
