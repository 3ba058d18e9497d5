import { systemClock } from "../../../src/clock.ts";
import { MusterError } from "../../../src/errors.ts";
import { EffectivePresenceSchema } from "../../../src/gen/muster/v1/presence_pb.ts";
import { PresenceService } from "../../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../../src/logger.ts";
import { rulesOf } from "../../../src/rpc/access.ts";
import { createRpcHandler, type RpcHandler } from "../../../src/rpc/adapter.ts";
import type { Caller } from "../../../src/rpc/caller.ts";
import { createClientAddress } from "../../../src/rpc/client-address.ts";
import { createGate } from "../../../src/rpc/gate.ts";
import { createHttpServer } from "../../../src/rpc/http.ts";
import { type ChainPorts, interceptors } from "../../../src/rpc/interceptors.ts";
import { createMetrics } from "../../../src/rpc/metrics.ts";
import { createStreamRegistry } from "../../../src/rpc/open-streams.ts";
import { NO_TRACING } from "../../../src/rpc/tracing.ts";
import { createCheck } from "../../../src/rpc/validate.ts";
import { usersOf, WRITE_MAX_BYTES } from "./behaviours.ts";
import { presencesOf } from "./stream-behaviours.ts";

export const ACCESS_KEY = "msk_good";
export const USER_TOKEN = "a.user.token";
export const OTHER_TOKEN = "an.other.token";

/** One of two servers that differ in nothing but the way that calls take. */
export interface Twin extends AsyncDisposable {
  readonly port: number;
  /** The lines of its log that tell of calls, as they are written. */
  readonly calls: string[];
  /** How many calls have come to the service. */
  readonly began: number;
  /** How many streams that last have let go of what they hold. */
  readonly released: number;
  /** How many requests the fast path took. */
  readonly taken: number;
}

const SYSTEM: Caller = { kind: "system", projectId: "p", accessKeyId: "k" };
const USER: Extract<Caller, { kind: "user" }> = {
  ...{ kind: "user", projectId: "p", userId: "u", tokenId: "t", sessionId: undefined, keyId: undefined },
  ...{ issuedAt: 0, expiresAt: Number.MAX_SAFE_INTEGER },
};
const USERS = new Map<string, Caller>([
  [USER_TOKEN, USER],
  [OTHER_TOKEN, { ...USER, userId: "other-1" }],
]);

const PORTS = {
  clock: systemClock,
  newId: () => "a-new-id",
  tracing: NO_TRACING,
  rules: rulesOf([UserService, PresenceService]),
  openServices: new Set<string>(),
  rateFactor: 0,
  publicUrl: "https://muster.example",
  check: createCheck(),
  isOperatorKey: () => false,
  verifyAccessKey: (key) => (key === ACCESS_KEY ? SYSTEM : refuse()),
  verifyUserToken: async (token) => USERS.get(token) ?? refuse(),
  verifySessionToken: async () => refuse(),
  originsOf: async () => ["https://app.example"],
  resolveUser: async () => undefined,
  entryReader: async () => () => true,
  announceEvents() {},
} satisfies Omit<ChainPorts, "logger" | "metrics">;

function refuse(): never {
  throw new MusterError("CREDENTIAL_INVALID");
}

/** Starts a server with the whole chain in front of a service that does what it is asked to. */
export async function startTwin(fastPath: boolean): Promise<Twin> {
  const calls: string[] = [];
  const logger = createLogger("debug", {
    write: (line: string) => line.includes('"rpc":') && calls.push(maskLine(line)),
  });
  const metrics = createMetrics();
  let [began, released] = [0, 0];
  const ports: ChainPorts = { ...PORTS, logger, metrics };
  const rpc = createRpcHandler({
    ...{ fastPath, logger, clock: systemClock, gate: createGate(ports), interceptors: interceptors(ports) },
    routes(router) {
      const begin = () => began++;
      router.service(UserService, usersOf(begin));
      router.service(
        PresenceService,
        presencesOf(begin, () => released++),
      );
    },
    sharedTypes: [EffectivePresenceSchema],
    clientAddress: createClientAddress(["127.0.0.1"]),
    limits: { writeMaxBytes: WRITE_MAX_BYTES, readMaxBytes: 32 * 1024, anonymousMaxBytes: 1_024, bodyTimeoutMs: 500 },
  });
  let taken = 0;
  const http = createHttpServer({
    rpc: counted(rpc, () => taken++),
    routes: [],
    cors: { isKnownOrigin: (origin) => origin === "https://app.example" },
    streams: createStreamRegistry(systemClock),
    ...{ clock: systemClock, logger },
  });
  const { port } = await http.listen(0, "127.0.0.1");
  return {
    port,
    calls,
    get began() {
      return began;
    },
    get released() {
      return released;
    },
    get taken() {
      return taken;
    },
    async [Symbol.asyncDispose]() {
      await http[Symbol.asyncDispose]();
      metrics[Symbol.dispose]();
    },
  };
}

/** What of the line of a call is the same each time. */
function maskLine(line: string): string {
  // What takes long is told at another level.
  const { time: _time, ms: _ms, pid: _pid, hostname: _host, level: _level, ...rest } = JSON.parse(line);
  return JSON.stringify(rest);
}

function counted(rpc: RpcHandler, count: () => void): RpcHandler {
  const { fast } = rpc;
  if (!fast) return rpc;
  return {
    ...rpc,
    fast: {
      find: fast.find,
      serve(...asked) {
        count();
        return fast.serve(...asked);
      },
    },
  };
}
