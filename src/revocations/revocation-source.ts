import { PagedNews } from "../paged-news.ts";
import type { StreamNews, StreamSource } from "../pulled-stream.ts";
import { BEGINNING, type ReadRevocation, type RevocationCursor, readRevocations } from "./read-revocations.ts";
import { createResumeToken, readResumeToken } from "./resume-token.ts";
import type { Revocation } from "./revocation.ts";
import type {
  RevocationMessage,
  RevocationNews,
  WatchRevocationsInput,
  WatchRevocationsPorts,
} from "./watch-revocations.ts";

const PAGE = 500;

/**
 * What one reader is told. It has a cursor of its own and reads when the reader asks for more; the feed only says when to look.
 */
export class RevocationSource implements StreamSource<RevocationNews, RevocationMessage> {
  readonly #ports: WatchRevocationsPorts;
  readonly #projectId: string;
  readonly #news: PagedNews<ReadRevocation>;
  readonly #subscription: Disposable;
  /** Up to where it has read. */
  #cursor: RevocationCursor;
  #token: Uint8Array;
  #isLive = false;

  /** Ends what it reads when `left` aborts. */
  constructor(
    ports: WatchRevocationsPorts,
    { projectId, resumeToken }: WatchRevocationsInput,
    left: AbortSignal,
    onNews: () => void,
  ) {
    const cursor = readResumeToken(ports.pageTokens, projectId, resumeToken);
    this.#ports = ports;
    this.#projectId = projectId;
    this.#cursor = cursor ?? BEGINNING;
    this.#token = cursor ? resumeToken : new Uint8Array();
    this.#news = new PagedNews(ports.clock, async () => {
      const limits = { limit: PAGE, nowMs: ports.clock.now() };
      const page = await readRevocations(ports.db, { projectId, signal: left }, this.#cursor, limits);
      this.#cursor = page.next;
      return { items: page.revocations.filter(isTold), more: page.more };
    });
    this.#subscription = ports.feed.subscribe((revocations) => {
      if (!revocations.some((it) => it.projectId === projectId)) return;
      this.#news.wake();
      onNews();
    });
  }

  get staleFor(): number {
    return this.#ports.feed.staleFor;
  }

  get isStale(): boolean {
    return this.#news.isDue || this.staleFor > 0;
  }

  get restMs(): number {
    return this.#news.restMs;
  }

  async next(): Promise<RevocationNews | undefined> {
    const revocation = await this.#news.next();
    if (typeof revocation === "object") {
      if (this.#isLive || this.#token.length > 0) this.#moveOn(revocation.cursor);
      return { kind: "revocation", revocation };
    }
    if (!revocation) return undefined;
    this.#isLive = true;
    this.#moveOn(this.#cursor);
    return { kind: revocation };
  }

  message(event: RevocationNews | StreamNews): RevocationMessage {
    return { resumeToken: this.#token, event };
  }

  close(): void {
    this.#subscription[Symbol.dispose]();
    this.#news.clear();
  }

  #moveOn(cursor: RevocationCursor): void {
    this.#token = createResumeToken(this.#ports.pageTokens, this.#projectId, cursor);
  }
}

/** Access keys are no tokens, and with the project its watchers go. */
const isTold = ({ subject }: Revocation): boolean => !("accessKeyId" in subject) && !("wholeProject" in subject);
