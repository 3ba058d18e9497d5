import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import type { Grant } from "../gen/muster/v1/session_pb.ts";
import { TokenService } from "../gen/muster/v1/token_service_pb.ts";
import { reasonOf } from "./call-errors.ts";

/** A refresh token to use; empty: the one that the browser sends as a cookie. */
export interface TokenToRefresh {
  readonly projectId: string;
  readonly refreshToken: string;
  readonly cookieOnly: boolean;
}

const TIMEOUT_MS = 5_000;
/** All tries lie within the 30 s in which a refresh token may be used again, so that a lost answer does not end the session. */
const DELAYS_MS = [250, 1_000, 3_000];

/** Uses a refresh token, again if the answer was lost or the server is away for a moment. */
export async function refreshGrant(transport: Transport, token: TokenToRefresh, clock: Clock): Promise<Grant> {
  const client = createClient(TokenService, transport);
  for (const delayMs of [...DELAYS_MS, undefined]) {
    try {
      const { grant } = await client.refreshToken(token, { timeoutMs: TIMEOUT_MS });
      if (grant) return grant;
      throw new TypeError("the answer holds no grant");
    } catch (error) {
      if (delayMs === undefined || !mayPass(error)) throw error;
      await new Promise<void>((resolve) => void clock.schedule(delayMs, resolve));
    }
  }
  throw new Error("unreachable");
}

/** A refusal has a reason; without one the call, or its answer, was lost on the way. */
const mayPass = (error: unknown): boolean =>
  reasonOf(error) === undefined || ConnectError.from(error).code === Code.Unavailable;
