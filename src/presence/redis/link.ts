import type { Clock } from "../../clock.ts";
import type { RedisAddress } from "../../setting-values.ts";
import { RedisConnection } from "./redis-connection.ts";

/** The least version that has sharded channels; Valkey calls itself 7.2.4. */
const LEAST_VERSION = 7;

export interface LinkEvents {
  onMessage(message: string): void;
  onLost(error: unknown): void;
}

/**
 * What this process has of one server that is written to: a connection for commands and one for subscriptions. They begin and end
 * together.
 */
export class Link implements Disposable {
  readonly commands: RedisConnection;
  readonly subscriptions: RedisConnection;

  /** Names what the server has replicated: another one after each restart and failover. */
  readonly history: string;

  private constructor(commands: RedisConnection, subscriptions: RedisConnection, history: string) {
    this.commands = commands;
    this.subscriptions = subscriptions;
    this.history = history;
  }

  /**
   * Rejects where the server cannot be reached, is too old, or is a replica: what was written is read where it was written. One that
   * becomes a replica later is noticed within seconds.
   */
  static async open(address: RedisAddress, clock: Clock, { onMessage, onLost }: LinkEvents): Promise<Link> {
    let history = "";
    const check = (answer: unknown) => {
      const now = historyOf(String(answer));
      if (history && now !== history) throw new Error("the server has another history");
      history = now;
    };
    const pulse = { question: ["INFO", "replication"], check };
    const opened = await Promise.allSettled([
      RedisConnection.open(address, clock, { onLost }, pulse),
      RedisConnection.open(address, clock, { onLost, onMessage }),
    ]);
    try {
      const [commands, subscriptions] = opened.map((it) => (it.status === "fulfilled" ? it.value : raise(it.reason)));
      if (!commands || !subscriptions) throw new Error("a connection is missing");
      checkVersion(String(await commands.send(["INFO", "server"])));
      check(await commands.send(pulse.question));
      return new Link(commands, subscriptions, history);
    } catch (error) {
      for (const it of opened) if (it.status === "fulfilled") it.value[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether one of the connections is gone. */
  get isOver(): boolean {
    return this.commands.isOver || this.subscriptions.isOver;
  }

  [Symbol.dispose](): void {
    this.commands[Symbol.dispose]();
    this.subscriptions[Symbol.dispose]();
  }
}

function checkVersion(info: string): void {
  const [, version] = /^redis_version:(\d+)/m.exec(info) ?? [];
  if (Number(version) < LEAST_VERSION)
    throw new Error(`the server's version is ${version}; ${LEAST_VERSION} is the least`);
}

function historyOf(info: string): string {
  if (!/^role:master\r?$/m.test(info)) throw new Error("the server is a replica");
  return /^master_replid:(\w+)/m.exec(info)?.[1] ?? "";
}

function raise(error: unknown): never {
  throw error;
}
