import { randomInt } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { RedisAddress } from "../../setting-values.ts";
import { Link } from "./link.ts";
import { RedisConnection } from "./redis-connection.ts";
import { type Owners, placeOf, readOwners } from "./slot-owners.ts";
import { TAGS } from "./tags.ts";

/** One server, or some servers of a cluster, by which all are found. */
export type RedisTarget =
  | { readonly kind: "standalone"; readonly address: RedisAddress }
  | { readonly kind: "cluster"; readonly seeds: readonly RedisAddress[] };

export interface MastersEvents {
  onMessage(message: string): void;
  /** From here on messages may be missed. */
  onLost(): void;
  /** A link was opened, or tags are at another server. */
  onChange(): void;
}

interface Master {
  readonly address: RedisAddress;
  link: Link | undefined;
  /** That of the last link. */
  history: string;
  opening: Promise<void> | undefined;
  failures: number;
  timer: Disposable | undefined;
}

const START_WITHIN_MS = 5_000;
const BACK_OFF_MS = { first: 50, most: 2_000 };
/** How often a cluster is asked who has what: so long a move is missed at most, where no redirection tells of it. */
const LOOK_MS = { whole: 5_000, broken: 1_000 };

/** The servers that are written to, which of them has which tag, and a link to each: opened again whenever it is lost. */
export class Masters implements Disposable {
  readonly #target: RedisTarget;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #events: MastersEvents;
  readonly #masters = new Map<string, Master>();
  #owners: Owners;
  #looking: Promise<void> | undefined;
  #lookTimer: Disposable | undefined;
  #looks = 0;
  #closed = false;

  /** `clock` times real connections: the machine's own. */
  constructor(target: RedisTarget, clock: Clock, logger: Logger, events: MastersEvents) {
    this.#target = target;
    this.#clock = clock;
    this.#logger = logger;
    this.#events = events;
    this.#owners = everyTag(undefined);
  }

  /** Resolves once every server was tried once, after 5 s at most: they are tried again for as long as it takes. */
  async start(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    using _ = this.#clock.schedule(START_WITHIN_MS, resolve);
    await Promise.race([this.#tryAll(), late]);
  }

  get isCluster(): boolean {
    return this.#target.kind === "cluster";
  }

  /** Whether every tag can be reached. */
  get isWhole(): boolean {
    return this.#owners.every((owner) => owner !== undefined) && this.links.length === this.#masters.size;
  }

  get links(): Link[] {
    return [...this.#masters.values()].flatMap(({ link }) => link ?? []);
  }

  /** Names what all of them have replicated, the same to every process. */
  get history(): string {
    const histories = [...this.#masters.values()].map(({ history }) => history);
    return histories.toSorted().join();
  }

  linkOf(tag: number): Link | undefined {
    const owner = this.#owners[tag];
    return owner && this.#masters.get(placeOf(owner))?.link;
  }

  addressOf(tag: number): RedisAddress | undefined {
    return this.#owners[tag];
  }

  /** Gives up a link, because of `error`: another one is opened. */
  drop(link: Link, error: unknown): void {
    for (const master of this.#masters.values()) if (master.link === link) this.#lose(master, error);
  }

  /** Asks the cluster who has what. Never rejects: what cannot be had now is tried again. */
  look(): Promise<void> {
    if (this.#target.kind === "standalone" || this.#closed) return Promise.resolve();
    this.#looking ??= this.#look(this.#target.seeds).finally(() => {
      this.#looking = undefined;
      this.#lookTimer?.[Symbol.dispose]();
      if (this.#closed) return;
      const delay = this.isWhole ? LOOK_MS.whole : LOOK_MS.broken;
      this.#lookTimer = this.#clock.schedule(delay, () => void this.look());
    });
    return this.#looking;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#lookTimer?.[Symbol.dispose]();
    for (const master of this.#masters.values()) close(master);
    this.#masters.clear();
  }

  async #tryAll(): Promise<void> {
    if (this.#target.kind === "standalone") this.#take(everyTag(this.#target.address));
    else await this.look();
    await Promise.all([...this.#masters.values()].flatMap(({ opening }) => opening ?? []));
  }

  /** Servers that are reached come first, another one each time: one that is cut off from the others knows only what was. */
  async #look(seeds: readonly RedisAddress[]): Promise<void> {
    const known = [...this.#masters.values()];
    const start = this.#looks++ % Math.max(known.length, 1);
    const linked = [...known.slice(start), ...known.slice(0, start)].filter(({ link }) => link);
    for (const { address, link } of linked) if (link && (await this.#ask(address, link.commands))) return;
    for (const address of seeds) if (await this.#ask(address)) return;
  }

  async #ask(address: RedisAddress, open?: RedisConnection): Promise<boolean> {
    const connection = open ?? (await this.#connect(address));
    try {
      const owners = connection && readOwners(await connection.send(["CLUSTER", "SLOTS"]), address);
      if (!owners?.some((owner) => owner)) return false;
      if (!this.#closed) this.#take(owners);
      return true;
    } catch (error) {
      this.#logger.warn({ err: error, server: placeOf(address) }, "Redis does not say which server has what");
      return false;
    } finally {
      if (!open) connection?.[Symbol.dispose]();
    }
  }

  async #connect(address: RedisAddress): Promise<RedisConnection | undefined> {
    try {
      return await RedisConnection.open(address, this.#clock, { onLost: () => {} });
    } catch (error) {
      this.#logger.warn({ err: error, server: placeOf(address) }, "Redis cannot be reached");
      return undefined;
    }
  }

  #take(owners: Owners): void {
    const before = this.#owners;
    this.#owners = owners;
    const places = new Map(
      owners.flatMap((owner): [string, RedisAddress][] => (owner ? [[placeOf(owner), owner]] : [])),
    );
    for (const [place, master] of this.#masters)
      if (!places.has(place)) {
        this.#masters.delete(place);
        close(master);
      }
    for (const [place, address] of places)
      if (!this.#masters.has(place)) {
        const master: Master = {
          address,
          link: undefined,
          history: "",
          opening: undefined,
          failures: 0,
          timer: undefined,
        };
        this.#masters.set(place, master);
        master.opening = this.#open(master);
      }
    const moved = owners.some((owner, tag) => placeOf(owner ?? NOWHERE) !== placeOf(before[tag] ?? NOWHERE));
    if (moved) this.#events.onChange();
  }

  async #open(master: Master): Promise<void> {
    const { onMessage } = this.#events;
    try {
      const link = await Link.open(master.address, this.#clock, {
        onMessage,
        onLost: (error) => this.#lose(master, error),
      });
      if (this.#masters.get(placeOf(master.address)) !== master) return link[Symbol.dispose]();
      if (link.isOver) throw new Error("the connection ended at once");
      master.link = link;
      master.history = link.history;
      master.failures = 0;
      this.#events.onChange();
    } catch (error) {
      this.#retry(master, error);
    }
  }

  #lose(master: Master, error: unknown): void {
    const { link } = master;
    if (!link) return;
    master.link = undefined;
    link[Symbol.dispose]();
    this.#events.onLost();
    this.#retry(master, error);
  }

  #retry(master: Master, error: unknown): void {
    if (this.#masters.get(placeOf(master.address)) !== master) return;
    const longest = Math.min(BACK_OFF_MS.first * 2 ** master.failures++, BACK_OFF_MS.most);
    const delay = randomInt(Math.ceil(longest / 2), longest + 1);
    const server = placeOf(master.address);
    this.#logger.warn({ err: error, server, retryInMs: delay }, "a connection to Redis is lost");
    master.timer = this.#clock.schedule(delay, () => {
      master.opening = this.#open(master);
    });
    // Another server may have taken its place.
    void this.look();
  }
}

const everyTag = (owner: RedisAddress | undefined): Owners => Array.from({ length: TAGS }, () => owner);

const NOWHERE = { host: "", port: 0 };

function close(master: Master): void {
  master.timer?.[Symbol.dispose]();
  master.link?.[Symbol.dispose]();
  master.link = undefined;
}
