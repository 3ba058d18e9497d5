import type { ClientHttp2Session } from "node:http2";
import { performance } from "node:perf_hooks";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  BatchSetPresenceRequestSchema,
  BatchSetPresenceResponseSchema,
  SetPresenceRequestSchema,
  WatchPresenceRequestSchema,
  WatchPresenceResponseSchema,
} from "../../src/gen/muster/v1/presence_service_pb.ts";
import { answerParent } from "./answer-parent.ts";
import { connect, openSession, requestHeaders } from "./connections.ts";
import { envelope } from "./floor-server.ts";
import { grpcCall } from "./grpc-call.ts";

/** Streams to open, spread over connections. */
export interface WatchOptions {
  readonly port: number;
  readonly accessKey: string;
  /** The ids each stream watches. Empty lists: a floor, which tells nothing at first. */
  readonly lists: readonly (readonly string[])[];
  readonly minIntervalMs: number;
}

/** Opens again, all at once, what was opened by the latest `watch`. */
export interface ReopenOptions {
  readonly port: number;
  readonly accessKey: string;
}

/** Sets to make at an even pace, whether those before are answered or not. */
export interface SetOptions {
  readonly port: number;
  readonly accessKey: string;
  readonly userIds: readonly string[];
  readonly perSecond: number;
  readonly durationMs: number;
  /** Sets in one call, by BatchSetPresence, due when the last of them is. */
  readonly perCall?: number;
}

/** What was received since it was last asked; latencies in milliseconds, rising. */
export interface Received {
  readonly updates: number;
  readonly presences: number;
  readonly latencies: number[];
  /** The largest update so far as it came, envelope included. */
  readonly largestUpdate: Uint8Array;
}

const PER_CONNECTION = 100;
const sessions: ClientHttp2Session[] = [];
let received = { updates: 0, presences: 0, latencies: [] as number[], largestUpdate: Buffer.alloc(0) as Uint8Array };
let broken: string | undefined;
/** What was opened last, with the latest token of each stream. */
let opened: { ids: readonly string[]; resumeToken: Uint8Array }[] = [];

async function watch({ port, accessKey, lists, minIntervalMs }: WatchOptions): Promise<void> {
  opened = lists.map((ids) => ({ ids, resumeToken: new Uint8Array() }));
  for (let from = 0; from < opened.length; from += PER_CONNECTION) {
    const session = await openSession(port);
    sessions.push(session);
    const some = opened.slice(from, from + PER_CONNECTION);
    await Promise.all(some.map((it) => openStream(session, accessKey, it, minIntervalMs)));
  }
}

/** Loses all connections, and goes on from where each stream was. Gives how many milliseconds pass until all of them are up to date. */
async function reopen({ port, accessKey }: ReopenOptions): Promise<number> {
  leave();
  const start = performance.now();
  const count = Math.ceil(opened.length / PER_CONNECTION);
  sessions.push(...(await Promise.all(Array.from({ length: count }, () => openSession(port)))));
  const streams = opened.map((it, index) =>
    openStream(sessions[Math.floor(index / PER_CONNECTION)] as ClientHttp2Session, accessKey, it, 0),
  );
  await Promise.all(streams);
  return performance.now() - start;
}

/** Resolves when the snapshot is complete; for a floor, when it answered. */
function openStream(
  session: ClientHttp2Session,
  accessKey: string,
  watch: { ids: readonly string[]; resumeToken: Uint8Array },
  minIntervalMs: number,
) {
  const { ids, resumeToken } = watch;
  const ready = Promise.withResolvers<void>();
  const headers = { authorization: `Bearer ${accessKey}` };
  const stream = session.request(
    requestHeaders({ protocol: "grpc", path: "/muster.v1.PresenceService/WatchPresence", headers }),
  );
  const refs = ids.map((id) => ({ ref: { case: "id", value: id } as const }));
  const minInterval = { nanos: minIntervalMs * 1_000_000 };
  const request = create(WatchPresenceRequestSchema, { refs, resumeToken, ...(minIntervalMs > 0 && { minInterval }) });
  stream.end(envelope(toBinary(WatchPresenceRequestSchema, request)));
  if (ids.length === 0) stream.once("response", () => ready.resolve());
  let rest: Buffer = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    rest = readFrames(rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk, (token) => {
      watch.resumeToken = token;
      ready.resolve();
    });
  });
  stream.on("error", (error) => (broken ??= String(error)));
  stream.on("trailers", (trailers) => (broken ??= `a stream ended: ${JSON.stringify(trailers)}`));
  stream.on("close", () => ready.reject(new Error(broken ?? "a stream ended")));
  return ready.promise;
}

/** Reads the whole messages, and gives back what is left. */
function readFrames(bytes: Buffer, onSnapshot: (resumeToken: Uint8Array) => void): Buffer {
  let at = 0;
  while (bytes.length >= at + 5 && bytes.length >= at + 5 + bytes.readUInt32BE(at + 1)) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    const { event, resumeToken } = fromBinary(WatchPresenceResponseSchema, bytes.subarray(at + 5, end));
    if (event.case === "snapshotComplete") onSnapshot(Uint8Array.from(resumeToken));
    if (event.case === "update") {
      received.updates++;
      received.presences += event.value.presences.length;
      if (end - at > received.largestUpdate.length) received.largestUpdate = Buffer.from(bytes.subarray(at, end));
      for (const { message } of event.value.presences)
        if (message) received.latencies.push(performance.now() - Number(message));
    }
    at = end;
  }
  return bytes.subarray(at);
}

/** The message of each presence is the time it was due to be set: what is late in being sent counts as well. */
async function set(options: SetOptions): Promise<number> {
  const { port, perSecond, durationMs, perCall } = options;
  const connections = await connect("grpc", port, 8);
  const due: number[] = [];
  const call = perCall ? batchCall(options, perCall, due) : singleCall(options, due);
  const start = performance.now();
  const answers: Promise<unknown>[] = [];
  for (let elapsed = 0; elapsed < durationMs; elapsed = performance.now() - start) {
    for (let n = due.length; n < (elapsed / 1_000) * perSecond; n++) {
      due.push(start + (n / perSecond) * 1_000);
      if (due.length % (perCall ?? 1) > 0) continue;
      const number = Math.floor(n / (perCall ?? 1));
      answers.push(connections.send(number, call, call.body(number)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(answers);
  connections.close();
  return answers.length * (perCall ?? 1);
}

/** The message of a presence is the time it was due to be set. */
const setOf = (userIds: readonly string[], n: number, due: readonly number[]) => ({
  ref: { ref: { case: "id" as const, value: userIds[n % userIds.length] ?? "" } },
  presence: { status: "online", message: String(due[n]) },
});

const batchCall = ({ accessKey, userIds }: SetOptions, perCall: number, due: readonly number[]) =>
  grpcCall({
    path: "/muster.v1.PresenceService/BatchSetPresence",
    credential: accessKey,
    input: BatchSetPresenceRequestSchema,
    output: BatchSetPresenceResponseSchema,
    request: (n) =>
      create(BatchSetPresenceRequestSchema, {
        presences: Array.from({ length: perCall }, (_, i) => setOf(userIds, n * perCall + i, due)),
      }),
    comparable: (answer) => answer,
  });

const singleCall = ({ accessKey, userIds }: SetOptions, due: readonly number[]) =>
  grpcCall({
    path: "/muster.v1.PresenceService/SetPresence",
    credential: accessKey,
    input: SetPresenceRequestSchema,
    output: SetPresenceRequestSchema,
    request: (n) => create(SetPresenceRequestSchema, setOf(userIds, n, due)),
    comparable: (answer) => answer,
  });

function take(): Received {
  if (broken) throw new Error(broken);
  const taken = { ...received, latencies: received.latencies.toSorted((a, b) => a - b) };
  received = { updates: 0, presences: 0, latencies: [], largestUpdate: received.largestUpdate };
  return taken;
}

/** Ends all streams. */
function leave(): void {
  for (const session of sessions.splice(0)) session.destroy();
  broken = undefined;
}

answerParent({ watch, reopen, set, take, leave });
