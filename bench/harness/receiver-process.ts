import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answerParent, USAGE } from "./answer-parent.ts";

/** When each event first came, in milliseconds since the epoch, by its `webhook-id`. */
let arrived = new Map<string, number>();

/** A receiver of webhooks that takes everything. */
const server = createServer((request, response) => {
  const id = String(request.headers["webhook-id"]);
  request.resume().on("end", () => {
    if (!arrived.has(id)) arrived.set(id, performance.timeOrigin + performance.now());
    response.writeHead(204).end();
  });
});

answerParent({
  ...USAGE,
  /** Gives its port. */
  async start(): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  },
  count: () => arrived.size,
  /** Gives what came, and begins anew. */
  take(): Map<string, number> {
    const taken = arrived;
    arrived = new Map();
    return taken;
  },
});
