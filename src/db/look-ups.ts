import { randomInt } from "node:crypto";
import pg from "pg";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { type BoundStatement, type Executed, Execution } from "./execution.ts";

/**
 * One connection beside the pool that all short reads of the process share: each is sent at once, behind those that are not answered yet,
 * and costs half of what a turn in the pool does. A reader that waits behind a long one loses, so nothing long goes here, and no transaction.
 */
export interface LookUps extends AsyncDisposable {
  /** Sends a read. False, and nothing was done: there is no connection now, or it hangs; the pool has others. */
  send<Row>(bound: BoundStatement, executed: Executed<Row>): boolean;
}

export interface LookUpOptions {
  readonly connection: pg.ClientConfig;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How Postgres shows the connection. */
export const LOOK_UPS_NAME = "muster look-ups";

/** The longest a read may take here, in milliseconds: it is one of a few rows by their key. */
const LONGEST_MS = 5_000;
/** With nothing answered for this long, what comes next does not queue up behind it. */
const HANGS_MS = 100;
/** With nothing answered for this long, the connection is taken for dead: a read that is too long is answered with that before. */
const DEAD_MS = LONGEST_MS + 1_000;
const CHECK_MS = 1_000;
const END_WITHIN_MS = 1_000;
const BACK_OFF_MS = { first: 50, most: 5_000 };
const KEEP_ALIVE_MS = 10_000;

/** Connects at the first read, and when one comes after the connection was lost. */
export function createLookUps(options: LookUpOptions): LookUps {
  return new PipelinedLookUps(options);
}

class PipelinedLookUps implements LookUps {
  readonly #options: LookUpOptions;
  /** The connection in use; unset while there is none. */
  #client: pg.Client | undefined;
  #connecting = false;
  #closed = false;
  #failures = 0;
  #retryAt = 0;
  /** Sent and not answered. */
  #waiting = 0;
  /** When something was answered last, or sent while nothing was waited for. */
  #movedAt = 0;
  #check: Disposable | undefined;
  #isCorked = false;

  constructor(options: LookUpOptions) {
    this.#options = options;
  }

  send<Row>(bound: BoundStatement, executed: Executed<Row>): boolean {
    const now = this.#options.clock.monotonic();
    const client = this.#client;
    if (!client) {
      if (!this.#connecting && !this.#closed && now >= this.#retryAt) void this.#connect();
      return false;
    }
    if (this.#waiting === 0) this.#movedAt = now;
    else if (now - this.#movedAt > HANGS_MS) return false;
    this.#waiting += 1;
    this.#check ??= this.#scheduleCheck(client);
    this.#cork(client);
    const done: Executed<Row> = (error, rows) => {
      if (this.#client === client) {
        this.#waiting -= 1;
        this.#movedAt = this.#options.clock.monotonic();
      }
      executed(error, rows);
    };
    client.query(new Execution(bound, done));
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    if (!client) return;
    this.#forget();
    const { promise: overdue, resolve } = Promise.withResolvers<void>();
    using _ = this.#options.clock.schedule(END_WITHIN_MS, resolve);
    await Promise.race([client.end().catch(() => {}), overdue]);
    destroy(client);
  }

  /** What is sent in one turn of the event loop goes out as one. */
  #cork(client: pg.Client): void {
    if (this.#isCorked) return;
    const { stream } = connectionOf(client);
    this.#isCorked = true;
    stream.cork();
    setImmediate(() => {
      this.#isCorked = false;
      stream.uncork();
    });
  }

  async #connect(): Promise<void> {
    this.#connecting = true;
    const client = new pg.Client({
      ...this.#options.connection,
      application_name: LOOK_UPS_NAME,
      connectionTimeoutMillis: LONGEST_MS,
      statement_timeout: LONGEST_MS,
      lock_timeout: LONGEST_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      pipeline: true,
    });
    client.on("error", (error) => this.#lose(client, error));
    client.on("end", () => this.#lose(client, new Error("connection ended")));
    try {
      await client.connect();
      if (this.#closed) return void (await client.end());
      this.#client = client;
      this.#failures = 0;
    } catch (error) {
      destroy(client);
      this.#backOff(error);
    } finally {
      this.#connecting = false;
    }
  }

  #lose(client: pg.Client, error: unknown): void {
    if (this.#client !== client) return;
    this.#forget();
    destroy(client);
    this.#backOff(error);
  }

  #forget(): void {
    this.#client = undefined;
    this.#waiting = 0;
    this.#check?.[Symbol.dispose]();
    this.#check = undefined;
  }

  #backOff(error: unknown): void {
    if (this.#closed) return;
    const { clock, logger } = this.#options;
    const longest = Math.min(BACK_OFF_MS.first * 2 ** this.#failures++, BACK_OFF_MS.most);
    const delay = randomInt(Math.ceil(longest / 2), longest + 1);
    this.#retryAt = clock.monotonic() + delay;
    logger.warn({ err: error, retryInMs: delay }, "the connection for look-ups is lost; the pool takes them meanwhile");
  }

  /** A connection can be dead without an end. */
  #scheduleCheck(client: pg.Client): Disposable {
    return this.#options.clock.schedule(CHECK_MS, () => {
      this.#check = undefined;
      if (this.#client !== client || this.#waiting === 0) return;
      if (this.#options.clock.monotonic() - this.#movedAt < DEAD_MS) this.#check = this.#scheduleCheck(client);
      else connectionOf(client).stream.destroy(new Error("connection terminated: no answer"));
    });
  }
}

/** What the driver's types leave out. */
const connectionOf = (client: pg.Client): pg.Connection =>
  (client as unknown as { readonly connection: pg.Connection }).connection;

const destroy = (client: pg.Client): void => void connectionOf(client).stream.destroy();
