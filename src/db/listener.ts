import { randomInt, randomUUID } from "node:crypto";
import pg from "pg";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { connectionOptions, type DatabaseAddress } from "./orm.ts";

/** One that listens to a channel. */
export interface Subscriber {
  /** Something was notified; `payload` is what came with it, perhaps empty. */
  onNotification(payload: string): void;
  /** The connection is gone: notifications are missed from now on. */
  onLost?(): void;
  /** The connection is back and the server acknowledged: notifications of the time between are gone. */
  onGap(): void;
}

/** The process's one connection for LISTEN. */
export interface Listener extends AsyncDisposable {
  /** Resolves once the server acknowledged: what is notified from then on arrives. Waits as long as the database is away. */
  listen(channel: string, subscriber: Subscriber): Promise<Disposable>;
}

/** How Postgres shows the connection. */
export const LISTENER_NAME = "muster listener";

/** How often the connection is asked to carry a notification of its own, and how long that may take: 5 s in all. */
const PULSE_EVERY_MS = 2_000;
const PULSE_WITHIN_MS = 3_000;
const END_WITHIN_MS = 1_000;
const BACK_OFF_MS = { first: 50, most: 5_000 };

/** Connects at the first `listen`, and again whenever the connection is lost or carries nothing any more. */
export function createListener(address: DatabaseAddress, clock: Clock, logger: Logger): Listener {
  return new ReconnectingListener(address, clock, logger);
}

class ReconnectingListener implements Listener {
  readonly #address: DatabaseAddress;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  /** Calls of `listen` that the server has not acknowledged. */
  #waiting: (() => void)[] = [];
  /** The connection in use; unset while there is none. */
  #client: pg.Client | undefined;
  #started = false;
  #closed = false;
  #connectedBefore = false;
  #failures = 0;
  #timer: Disposable | undefined;
  readonly #pulseChannel = `muster_pulse_${randomUUID()}`;
  #pulseArrived = true;

  constructor(address: DatabaseAddress, clock: Clock, logger: Logger) {
    this.#address = address;
    this.#clock = clock;
    this.#logger = logger;
  }

  async listen(channel: string, subscriber: Subscriber): Promise<Disposable> {
    const known = this.#subscribers.get(channel);
    const all = known ?? new Set();
    this.#subscribers.set(channel, all.add(subscriber));
    if (!this.#started) {
      this.#started = true;
      void this.#connect();
    }
    await this.#acknowledged(channel);
    return { [Symbol.dispose]: () => this.#leave(channel, subscriber) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    const client = this.#client;
    this.#client = undefined;
    if (!client) return;
    const { promise: overdue, resolve } = Promise.withResolvers<void>();
    using _ = this.#clock.schedule(END_WITHIN_MS, resolve);
    await Promise.race([client.end().catch(() => {}), overdue]);
  }

  async #acknowledged(channel: string): Promise<void> {
    const client = this.#client;
    if (client) {
      try {
        await client.query(`listen ${pg.escapeIdentifier(channel)}`);
        return;
      } catch (error) {
        this.#lose(client, error);
      }
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(channel: string, subscriber: Subscriber): void {
    const all = this.#subscribers.get(channel);
    if (!all?.delete(subscriber) || all.size > 0) return;
    this.#subscribers.delete(channel);
    const client = this.#client;
    client?.query(`unlisten ${pg.escapeIdentifier(channel)}`).catch((error: unknown) => this.#lose(client, error));
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      ...connectionOptions(this.#address),
      application_name: LISTENER_NAME,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
      pipeline: true,
    });
    client.on("error", (error) => this.#lose(client, error));
    client.on("end", () => this.#lose(client, new Error("connection ended")));
    client.on("notification", ({ channel, payload }) => this.#deliver(channel, payload ?? ""));
    try {
      await client.connect();
      await this.#listenAll(client);
    } catch (error) {
      await client.end().catch(() => {});
      this.#retry(error);
    }
  }

  /** Puts every channel on a new connection, those too that were asked for meanwhile. */
  async #listenAll(client: pg.Client): Promise<void> {
    const done = new Set<string>();
    const missing = () => [this.#pulseChannel, ...this.#subscribers.keys()].filter((channel) => !done.has(channel));
    for (let channels = missing(); channels.length > 0; channels = missing()) {
      for (const channel of channels) done.add(channel);
      await client.query(channels.map((channel) => `listen ${pg.escapeIdentifier(channel)}`).join(";"));
    }
    if (this.#closed) return void (await client.end());
    this.#client = client;
    this.#failures = 0;
    const gap = this.#connectedBefore;
    this.#connectedBefore = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
    if (gap) this.#tell((subscriber) => subscriber.onGap());
    this.#schedulePulse(client);
  }

  #lose(client: pg.Client, error: unknown): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#timer?.[Symbol.dispose]();
    void client.end().catch(() => {});
    this.#tell((subscriber) => subscriber.onLost?.());
    this.#retry(error);
  }

  #retry(error: unknown): void {
    if (this.#closed) return;
    const longest = Math.min(BACK_OFF_MS.first * 2 ** this.#failures++, BACK_OFF_MS.most);
    const delay = randomInt(Math.ceil(longest / 2), longest + 1);
    this.#logger.warn({ err: error, retryInMs: delay }, "the LISTEN connection is lost");
    this.#timer = this.#clock.schedule(delay, () => void this.#connect());
  }

  #deliver(channel: string, payload: string): void {
    if (channel === this.#pulseChannel) this.#pulseArrived = true;
    for (const subscriber of this.#subscribers.get(channel) ?? []) subscriber.onNotification(payload);
  }

  #tell(action: (subscriber: Subscriber) => void): void {
    for (const all of this.#subscribers.values()) for (const subscriber of all) action(subscriber);
  }

  /** A connection can be dead without an end, or a pooler in between swallow LISTEN: only what arrives proves it. */
  #schedulePulse(client: pg.Client): void {
    this.#timer = this.#clock.schedule(PULSE_EVERY_MS, () => {
      this.#pulseArrived = false;
      client
        .query("select pg_notify($1, '')", [this.#pulseChannel])
        .catch((error: unknown) => this.#lose(client, error));
      this.#timer = this.#clock.schedule(PULSE_WITHIN_MS, () => {
        if (this.#pulseArrived) this.#schedulePulse(client);
        else this.#lose(client, new Error("a notification of our own did not arrive"));
      });
    });
  }
}
