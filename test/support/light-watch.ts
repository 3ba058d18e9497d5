import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  WatchPresenceRequestSchema,
  type WatchPresenceResponse,
  WatchPresenceResponseSchema,
} from "../../src/gen/muster/v1/presence_service_pb.ts";

/** An HTTP/2 connection to a server. Its end is no failure of the test's. */
export async function openSession(url: string): Promise<ClientHttp2Session> {
  const session = connect(url);
  session.on("error", () => {});
  await once(session, "connect");
  return session;
}

/** How a user was last seen. */
interface Seen {
  readonly status: string;
  readonly revision: bigint;
  readonly step: number;
}

/**
 * One watch of a few users over plain HTTP/2, over one stream after another: what thousands of can be held in one process. What it was told
 * stays when a stream ends, and the next one goes on from there.
 */
export class LightWatch {
  readonly users: readonly string[];
  readonly seen = new Map<string, Seen>();
  readonly deleted = new Set<string>();
  /** Of the latest stream. */
  isLive = false;
  isOpen = false;
  resumed = false;
  /** Presences that the latest stream told. */
  told = 0;
  /** How often it was told something older than what it knew, without a resync. */
  stepsBack = 0;
  /** The trailers of the last stream that ended in order. */
  ending: { readonly status: string; readonly message: string } | undefined;
  token = new Uint8Array();
  stream: ClientHttp2Stream | undefined;
  #rest: Buffer = Buffer.alloc(0);

  constructor(users: readonly string[]) {
    this.users = users;
  }

  /** Opens a stream that goes on from what was told. */
  open(session: ClientHttp2Session, accessKey: string): void {
    const stream = session.request({
      ":method": "POST",
      ":path": "/muster.v1.PresenceService/WatchPresence",
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${accessKey}`,
    });
    Object.assign(this, { stream, isLive: false, isOpen: true, resumed: false, told: 0 });
    this.#rest = Buffer.alloc(0);
    const refs = this.users.map((value) => ({ ref: { case: "id", value } as const }));
    const request = create(WatchPresenceRequestSchema, { refs, resumeToken: this.token });
    stream.end(enveloped(toBinary(WatchPresenceRequestSchema, request)));
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.on("error", () => {});
    stream.on("trailers", (fields) => {
      this.ending = { status: String(fields["grpc-status"]), message: String(fields["grpc-message"]) };
    });
    stream.on("close", () => {
      if (this.stream === stream) this.isOpen = false;
    });
  }

  statusOf(user: string): string | undefined {
    return this.seen.get(user)?.status;
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    for (let end = frameEnd(bytes, at); end <= bytes.length; end = frameEnd(bytes, at)) {
      this.#take(fromBinary(WatchPresenceResponseSchema, bytes.subarray(at + 5, end)));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #take({ event, resumeToken }: WatchPresenceResponse): void {
    if (resumeToken.length > 0) this.token = Uint8Array.from(resumeToken);
    if (event.case === "opened") this.resumed = event.value.resumed;
    if (event.case === "snapshotComplete") this.isLive = true;
    if (event.case === "resync") this.seen.clear();
    if (event.case === "userDeleted") this.deleted.add(event.value.userId);
    if (event.case !== "update") return;
    for (const { userId, status, revision, step } of event.value.presences) {
      const last = this.seen.get(userId);
      if (last && (revision < last.revision || (revision === last.revision && step < last.step))) this.stepsBack++;
      this.seen.set(userId, { status, revision, step });
      this.told++;
    }
  }
}

/** Streams of one connection. */
const PER_CONNECTION = 100;

/** Opens a stream for each watch, all at once, on as few connections as the server takes. Gives the connections. */
export async function openAll(
  url: string,
  accessKey: string,
  watches: readonly LightWatch[],
): Promise<ClientHttp2Session[]> {
  const count = Math.ceil(watches.length / PER_CONNECTION);
  const sessions = await Promise.all(Array.from({ length: count }, () => openSession(url)));
  for (const [index, watch] of watches.entries()) {
    const session = sessions[Math.floor(index / PER_CONNECTION)];
    if (session) watch.open(session, accessKey);
  }
  return sessions;
}

const frameEnd = (bytes: Buffer, at: number): number =>
  bytes.length < at + 5 ? Number.POSITIVE_INFINITY : at + 5 + bytes.readUInt32BE(at + 1);

function enveloped(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(message.length + 5);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}
