import type { RpcHandler } from "./adapter.ts";
import { type CorsOptions, readableBy } from "./cors.ts";
import type { Exchange } from "./exchange.ts";

/** Answers a request by the fast path, if it is one for that; false: nothing was done with it. Never throws. */
export type FastListener = (path: string, exchange: Exchange) => boolean;

const HEADERS = { "x-content-type-options": "nosniff", vary: "Origin" };
const GET_HEADERS = { ...HEADERS, "cache-control": "no-store" };

/** Puts the headers of every answer, and those of CORS, before the fast path. */
export function createFastListener(rpc: RpcHandler, cors: CorsOptions): FastListener {
  return (path, exchange) => {
    const { fast } = rpc;
    const target = fast?.find(path, exchange);
    if (!fast || !target) return false;
    const headers = exchange.method === "GET" ? GET_HEADERS : HEADERS;
    const { origin } = exchange.headers;
    if (!origin) fast.serve(target, exchange, headers);
    else void readableBy(cors, origin).then((more) => fast.serve(target, exchange, { ...headers, ...more }));
    return true;
  };
}
