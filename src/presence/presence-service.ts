import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { PresenceService } from "../gen/muster/v1/presence_service_pb.ts";
import { projectCallerOf } from "../rpc/caller.ts";
import { userKeyOf } from "../users/user-ref-message.ts";
import { batchGetPresence } from "./batch-get-presence.ts";
import { getPresence } from "./get-presence.ts";
import type { Presence } from "./presence.ts";
import { presenceMessage, stepsOf, watchMessage } from "./presence-message.ts";
import { setPresence } from "./set-presence.ts";
import { watchPresence } from "./watch.ts";

/** Where open streams are kept, so that the server can end them. */
export interface StreamPort {
  /** Adds a stream: its signal aborts when the server ends it. Disposed when the stream is over. */
  open(): Disposable & { readonly signal: AbortSignal };
}

export function presenceService(presence: Presence, streams: StreamPort): ServiceImpl<typeof PresenceService> {
  return {
    async setPresence(request, context) {
      const input = { key: userKeyOf(request.ref), steps: stepsOf(request.presence) };
      return { presence: presenceMessage(await setPresence(presence, scopeOf(context), input)) };
    },
    async getPresence({ ref }, context) {
      return { presence: presenceMessage(await getPresence(presence, scopeOf(context), userKeyOf(ref))) };
    },
    async batchGetPresence({ refs }, context) {
      const { presences, missing } = await batchGetPresence(presence, scopeOf(context), refs.map(userKeyOf));
      return { presences: presences.map(presenceMessage), missing: missing.flatMap((index) => refs[index] ?? []) };
    },
    async *watchPresence({ refs, minInterval }, context) {
      const caller = projectCallerOf(context);
      const stream = streams.open();
      // Not in `finally` alone: it may never run where the reader leaves while the stream waits for it.
      context.signal.addEventListener("abort", () => stream[Symbol.dispose](), { once: true });
      try {
        const watcher = caller.kind === "user" ? { watcher: caller } : {};
        const input = {
          projectId: caller.projectId,
          keys: refs.map(userKeyOf),
          minIntervalMs: spanOf(minInterval),
          ...watcher,
        };
        for await (const message of watchPresence(presence, input, { left: context.signal, ended: stream.signal }))
          yield watchMessage(message);
      } finally {
        stream[Symbol.dispose]();
      }
    },
  };
}

const scopeOf = (context: HandlerContext) => ({
  projectId: projectCallerOf(context).projectId,
  signal: context.signal,
});

const spanOf = (duration: Duration | undefined): number => (duration ? durationMs(duration) : 0);
