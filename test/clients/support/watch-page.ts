import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { PresenceService } from "../../../src/gen/muster/v1/presence_service_pb.ts";

/** Runs in the browser: bundled into a page that a test opens. */
interface Watcher {
  /** The statuses told so far, in order. */
  readonly statuses: string[];
  /** What the watch ended with, by the code's name. */
  ended: string | undefined;
  stop(): void;
}

type Protocol = "connect" | "grpc-web";

/** Watches one user's presence as that user, as an app's page does. */
function watchPresence(protocol: Protocol, baseUrl: string, token: string): Watcher {
  const transport = protocol === "connect" ? createConnectTransport({ baseUrl }) : createGrpcWebTransport({ baseUrl });
  const client = createClient(PresenceService, transport);
  const stop = new AbortController();
  const watcher: Watcher = { statuses: [], ended: undefined, stop: () => stop.abort() };
  const headers = { authorization: `Bearer ${token}` };
  const refs = [{ ref: { case: "me" as const, value: true } }];
  const follow = async () => {
    for await (const { event } of client.watchPresence({ refs }, { headers, signal: stop.signal }))
      if (event.case === "update") watcher.statuses.push(...event.value.presences.map((it) => it.status));
    return "completed";
  };
  follow().then(
    (how) => (watcher.ended = how),
    (error: unknown) => (watcher.ended = Code[ConnectError.from(error).code]),
  );
  return watcher;
}

Object.assign(globalThis, { watchPresence });
