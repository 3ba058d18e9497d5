import { createClient } from "@redis/client";
import type { Clock } from "../../clock.ts";
import type { RedisAddress } from "../../setting-values.ts";

/** How long a connection may take to be there; how often it is asked for a sign of life, and how long that may take. */
const CONNECT_WITHIN_MS = 3_000;
const PULSE_EVERY_MS = 2_000;
const PULSE_WITHIN_MS = 3_000;

export interface ConnectionEvents {
  /** A message of a channel subscribed to. */
  onMessage?(message: string, channel: string): void;
  /** The connection is gone, told once; also where it was open without answering. Not told by `Disposable`. */
  onLost(error: unknown): void;
}

/** What a connection is asked for a sign of life, and what is thrown for an answer that ends it. */
export interface Pulse {
  readonly question: readonly string[];
  check(answer: unknown): void;
}

const PING: Pulse = { question: ["PING"], check() {} };

/**
 * One connection to one server. It never comes back by itself, nor holds commands back for later: whoever uses it has to know when
 * it may have missed something. Commands that are under way when it goes fail.
 */
export class RedisConnection implements Disposable {
  readonly #client: ReturnType<typeof clientFor>;
  readonly #clock: Clock;
  readonly #events: ConnectionEvents;
  readonly #pulse: Pulse;
  #timer: Disposable | undefined;
  #over = false;
  readonly #listener = (message: string, channel: string): void => this.#events.onMessage?.(message, channel);

  private constructor(address: RedisAddress, clock: Clock, events: ConnectionEvents, pulse: Pulse) {
    this.#client = clientFor(address);
    this.#clock = clock;
    this.#events = events;
    this.#pulse = pulse;
  }

  /** Connects. `clock` is the machine's own. Rejects where that takes more than 3 s, or fails. */
  static async open(
    address: RedisAddress,
    clock: Clock,
    events: ConnectionEvents,
    pulse: Pulse = PING,
  ): Promise<RedisConnection> {
    const connection = new RedisConnection(address, clock, events, pulse);
    await connection.#open();
    return connection;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Sends one command; those of one turn of the loop go together. An error of the server rejects with its message. */
  send(args: readonly string[]): Promise<unknown> {
    return this.#client.sendCommand(args as string[]);
  }

  /** Resolves once the server acknowledged. */
  async subscribe(channel: string): Promise<void> {
    // A channel that came back: the server ended the subscription when it went, and the library may have missed that.
    if (this.#client.getPubSubListeners("SHARDED").has(channel)) this.unsubscribe(channel).catch(() => {});
    await this.#client.sSubscribe(channel, this.#listener);
  }

  /** Ends a subscription. With the listener: else the library takes a subscription that follows at once for one that is there. */
  async unsubscribe(channel: string): Promise<void> {
    await this.#client.sUnsubscribe(channel, this.#listener);
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
    this.#client.destroy();
  }

  async #open(): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    using _ = this.#clock.schedule(CONNECT_WITHIN_MS, () => reject(new Error("the server does not answer")));
    // Listened to at once: an error that nobody listens to ends the process.
    this.#client.on("error", (error: unknown) => this.#lose(error));
    this.#client.on("end", () => this.#lose(new Error("the connection ended")));
    const connected = this.#client.connect();
    connected.catch(() => {});
    try {
      await Promise.race([connected, late]);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.#schedulePulse();
  }

  #lose(error: unknown): void {
    if (this.#over || !this.#timer) return;
    this[Symbol.dispose]();
    this.#events.onLost(error);
  }

  /** A connection can be dead without an end. Answers come in order: one that comes stands for all before it. */
  #schedulePulse(): void {
    if (!this.#over) this.#timer = this.#clock.schedule(PULSE_EVERY_MS, () => void this.#askForPulse());
  }

  async #askForPulse(): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    // One more turn: where this process itself was busy for so long, the answer may be there and not be read yet.
    const giveUp = () => setImmediate(() => reject(new Error("the server does not answer")));
    this.#timer = this.#clock.schedule(PULSE_WITHIN_MS, giveUp);
    try {
      this.#pulse.check(await Promise.race([this.send(this.#pulse.question), late]));
    } catch (error) {
      return this.#lose(error);
    }
    this.#timer[Symbol.dispose]();
    this.#schedulePulse();
  }
}

function clientFor({ host, port, tls, user, password, database }: RedisAddress) {
  return createClient({
    socket: { host, port, connectTimeout: CONNECT_WITHIN_MS, reconnectStrategy: false, ...(tls && { tls: true }) },
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    database,
    name: "muster",
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    // The library's timeout ends when a command is written; the pulse covers the wait for its answer as well.
    commandOptions: { timeout: 0 },
  });
}
