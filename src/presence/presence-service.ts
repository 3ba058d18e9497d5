import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import type { StatusSchema } from "../gen/google/rpc/status_pb.ts";
import type {
  PresenceService,
  SetPresenceRequest,
  WatchPresenceRequest,
} from "../gen/muster/v1/presence_service_pb.ts";
import type { PageTokens } from "../page-tokens.ts";
import { inForm } from "../pulled-stream.ts";
import { type ProjectCaller, projectCallerOf, scopeOf } from "../rpc/caller.ts";
import { userKeyOf } from "../users/user-ref-message.ts";
import { batchGetPresence } from "./batch-get-presence.ts";
import { countPresence } from "./count-presence.ts";
import { getPresence } from "./get-presence.ts";
import { listPresence } from "./list-presence.ts";
import type { Presence } from "./presence.ts";
import { countMessage, createWatchMessages, presenceMessage, stepsOf } from "./presence-message.ts";
import { batchSetPresence, type SetPresenceInput, setPresence } from "./set-presence.ts";
import { updateWatch } from "./update-watch.ts";
import { type WatchInput, watchPresence } from "./watch.ts";
import type { WatchOwner } from "./watch-change.ts";

/** Where open streams are kept, so that the server can end them. */
export interface StreamPort {
  /** Adds the stream of a call: its signal aborts when the server ends it. Disposed when the stream is over. */
  open(call: Pick<HandlerContext, "values">): Disposable & { readonly signal: AbortSignal };
}

export interface PresenceServicePorts {
  readonly streams: StreamPort;
  readonly pageTokens: PageTokens;
  /** What an item of a batch failed with, as an RPC of its own would have said. */
  statusOf(error: unknown, signal: AbortSignal): MessageInitShape<typeof StatusSchema>;
}

/** The RPCs of presence; watches are kept among `streams` for as long as they are open. */
export function presenceService(
  presence: Presence,
  { streams, pageTokens, statusOf }: PresenceServicePorts,
): ServiceImpl<typeof PresenceService> {
  const watchMessage = createWatchMessages();
  return {
    async setPresence(request, context) {
      return { presence: presenceMessage(await setPresence(presence, scopeOf(context), inputOf(request))) };
    },
    async batchSetPresence({ presences }, context) {
      const outcomes = await batchSetPresence(presence, scopeOf(context), presences.map(inputOf));
      const results = outcomes.map((outcome) =>
        outcome instanceof MusterError
          ? { error: statusOf(outcome, context.signal) }
          : { presence: presenceMessage(outcome) },
      );
      return { results };
    },
    async getPresence({ ref }, context) {
      return { presence: presenceMessage(await getPresence(presence, scopeOf(context), userKeyOf(ref))) };
    },
    async batchGetPresence({ refs }, context) {
      const { presences, missing } = await batchGetPresence(presence, scopeOf(context), refs.map(userKeyOf));
      return { presences: presences.map(presenceMessage), missing: missing.flatMap((index) => refs[index] ?? []) };
    },
    async countPresence(_, context) {
      return countMessage(await countPresence(presence, scopeOf(context), isUser(context)));
    },
    async listPresence(request, context) {
      const ports = { ...presence, pageTokens };
      const { presences, nextPageToken } = await listPresence(ports, scopeOf(context), request, isUser(context));
      return { presences: presences.map(presenceMessage), nextPageToken };
    },
    watchPresence(request, context) {
      const input = watchInput(request, projectCallerOf(context));
      const stream = streams.open(context);
      const onOver = () => stream[Symbol.dispose]();
      return inForm(
        watchPresence(presence, input, { left: context.signal, ended: stream.signal, onOver }),
        watchMessage,
      );
    },
    async updateWatch({ watchId, add, remove }, context) {
      const owner = ownerOf(projectCallerOf(context));
      const input = { watchId, add: add.map(userKeyOf), remove: remove.map(userKeyOf) };
      await updateWatch(presence, scopeOf(context), owner, input);
      return {};
    },
  };
}

const inputOf = ({ ref, presence }: SetPresenceRequest): SetPresenceInput => ({
  key: userKeyOf(ref),
  steps: stepsOf(presence),
});

const watchInput = ({ refs, resumeToken, minInterval }: WatchPresenceRequest, caller: ProjectCaller): WatchInput => ({
  owner: ownerOf(caller),
  keys: refs.map(userKeyOf),
  resumeToken,
  minIntervalMs: spanOf(minInterval),
});

const ownerOf = (caller: ProjectCaller): WatchOwner => ({
  projectId: caller.projectId,
  userId: caller.kind === "user" ? caller.userId : undefined,
});

const isUser = (context: HandlerContext): boolean => projectCallerOf(context).kind === "user";

const spanOf = (duration: Duration | undefined): number => (duration ? durationMs(duration) : 0);
