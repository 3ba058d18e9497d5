import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { MusterError } from "../errors.ts";
import { RateBucket } from "../gen/muster/v1/access_pb.ts";
import type { MethodRule } from "./access.ts";
import { CALLER, type Caller } from "./caller.ts";
import { CLIENT_ADDRESS } from "./client-address.ts";

export interface LimitOptions {
  readonly rules: ReadonlyMap<DescMethod, MethodRule>;
  /** Multiplies every allowance; 0 turns the limits off. */
  readonly rateFactor: number;
}

/** Calls per second and bucket. `.system` and the operator are trusted servers and are not limited. */
const ALLOWANCES = {
  user: {
    [RateBucket.READ]: 100,
    [RateBucket.WRITE]: 50,
    [RateBucket.BULK]: 10,
    [RateBucket.STREAM]: 10,
    [RateBucket.SIGN_IN]: 10,
  },
  anonymous: {
    [RateBucket.READ]: 20,
    [RateBucket.WRITE]: 10,
    [RateBucket.BULK]: 1,
    [RateBucket.STREAM]: 1,
    [RateBucket.SIGN_IN]: 10,
  },
} as const;

/** Charges each call to its caller's bucket. Held per process: with N processes a caller has N allowances. */
export function limitRate({ rules, rateFactor }: LimitOptions): Interceptor {
  if (rateFactor === 0) return (next) => next;
  const limiters = {
    user: limitersOf(ALLOWANCES.user, rateFactor),
    anonymous: limitersOf(ALLOWANCES.anonymous, rateFactor),
  };
  return (next) => (request) => {
    const caller = request.contextValues.get(CALLER);
    if (caller.kind !== "user" && caller.kind !== "anonymous") return next(request);
    const limiter = limiters[caller.kind].get(rules.get(request.method)?.bucket ?? RateBucket.READ);
    const key = keyOf(caller, request.contextValues.get(CLIENT_ADDRESS));
    return charge(limiter, key).then(() => next(request));
  };
}

/** Charges what is no call to the address it comes from: so many a second. RATE_LIMITED. */
export function createAddressLimit(perSecond: number, rateFactor: number): (address: string) => Promise<void> {
  if (rateFactor === 0) return async () => {};
  const limiter = limiterOf(perSecond, rateFactor);
  return (address) => charge(limiter, prefixOf(address));
}

const limiterOf = (perSecond: number, factor: number): RateLimiterMemory =>
  new RateLimiterMemory({ points: Math.max(1, Math.round(perSecond * factor)), duration: 1 });

function limitersOf(allowances: Readonly<Record<number, number>>, factor: number): Map<number, RateLimiterMemory> {
  return new Map(
    Object.entries(allowances).map(([bucket, perSecond]) => [Number(bucket), limiterOf(perSecond, factor)]),
  );
}

async function charge(limiter: RateLimiterMemory | undefined, key: string): Promise<void> {
  try {
    await limiter?.consume(key);
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes)
      throw new MusterError("RATE_LIMITED", { retryAfterMs: Math.max(1, refusal.msBeforeNext) });
    throw refusal;
  }
}

const keyOf = (caller: Caller, address: string): string =>
  caller.kind === "user" ? `${caller.projectId}:${caller.userId}` : prefixOf(address);

/** One household or host: an IPv4 address, or the /64 of an IPv6 one. */
function prefixOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail = ""] = address.split("::");
  const left = head.split(":").filter(Boolean);
  const right = tail.split(":").filter(Boolean);
  const missing = address.includes("::") ? 8 - left.length - right.length : 0;
  return [...left, ...Array<string>(missing).fill("0"), ...right].slice(0, 4).join(":");
}
