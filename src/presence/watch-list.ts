import { invalid } from "../errors.ts";
import { keyOf } from "./engine.ts";
import { hash48 } from "./hash48.ts";
import type { Hub } from "./hub.ts";
import type { Mailbox } from "./mailbox.ts";
import { originOf, Resumption } from "./resume.ts";
import type { ResumePoint } from "./resume-token.ts";
import { ToldStates } from "./told-states.ts";
import type { UserPresence } from "./user-presence.ts";
import type { WatchTargets } from "./watch-targets.ts";
import type { WatchedUser } from "./watched-user.ts";

/** The most users on one list, those counted that external ids name which belong to nobody. */
export const MOST_WATCHED = 10_000;
/** Presences in one message: together less than 1 MiB. */
const MOST_PRESENCES = 200;

export interface WatchListDeps {
  readonly hub: Hub;
  /** Of these ids, those of users that were deleted. */
  deletedAmong(projectId: string, userIds: readonly string[]): Promise<ReadonlySet<string>>;
}

const unknownHash = (externalId: string): number => hash48(`external id ${externalId}`);

/** Whom one reader watches, what it has been told of them, and what it has not. */
export class WatchList {
  readonly #deps: WatchListDeps;
  readonly #projectId: string;
  readonly #mailbox: Mailbox;
  readonly #users = new Set<WatchedUser>();
  /** Users whose state has not been sent since the snapshot began, or since they were added. */
  #unsent = new Set<WatchedUser>();
  readonly #unknown = new Map<number, string>();
  readonly #unsentUnknown = new Set<number>();
  readonly #deleted: WatchedUser[] = [];
  readonly #told = new ToldStates();
  #resumption: Resumption | undefined;
  /** Users that are not there, of which the reader knew: whether they were deleted since. */
  readonly #gone = new Map<WatchedUser, boolean>();

  constructor(deps: WatchListDeps, projectId: string, targets: WatchTargets, mailbox: Mailbox) {
    this.#deps = deps;
    this.#projectId = projectId;
    this.#mailbox = mailbox;
    this.#add(targets);
  }

  get isEmpty(): boolean {
    return this.#users.size === 0;
  }

  /** Whether the reader has been told of everybody on its list. */
  get isTold(): boolean {
    return this.#unsent.size + this.#unsentUnknown.size === 0;
  }

  get isConfirmed(): boolean {
    return this.#told.isConfirmed;
  }

  /** The token of this moment; empty: there is none. */
  get token(): Uint8Array {
    const now = this.#deps.hub.now ?? 0;
    return this.#resumption?.tokenAt(now) ?? this.#told.token(now);
  }

  /** Whether there may be presences to take. */
  get isDirty(): boolean {
    return this.#mailbox.dirty.size + this.#unsentUnknown.size > 0;
  }

  /** Whether the store lost changes while the reader is being told what an earlier stream did not tell. */
  get isRolledBack(): boolean {
    return this.#resumption?.isOver(this.#deps.hub) ?? false;
  }

  /** Leaves out of the snapshot what the reader knows. */
  resume(point: ResumePoint): void {
    const hashes = new Set(this.#unknown.keys());
    for (const { hash } of this.#users) hashes.add(hash);
    this.#resumption = new Resumption(point, hashes, this.#deps.hub);
    for (const hash of this.#unknown.keys()) if (this.#resumption.wasListed(hash)) this.#tellUnknown(hash);
  }

  /** Begins the snapshot again, leaving out nothing. */
  restart(): void {
    this.#resumption = undefined;
    this.#told.clear();
    this.#unsent = new Set(this.#users);
    for (const hash of this.#unknown.keys()) this.#unsentUnknown.add(hash);
    for (const user of this.#users) if (user.state !== "loading") this.#mailbox.dirty.add(user);
  }

  /**
   * Takes users off the list, then adds others; those that are on it already stay as they are.
   * @throws REQUEST_INVALID
   */
  change(add: WatchTargets, remove: WatchTargets): void {
    const removed = new Set(remove.subjects.map(keyOf));
    const leaving = [...this.#users].filter(({ key }) => removed.has(key));
    const leavingUnknown = remove.unknownExternalIds.map(unknownHash).filter((hash) => this.#unknown.has(hash));
    const staying = new Set([...this.#users].filter(({ key }) => !removed.has(key)).map(({ key }) => key));
    const coming = add.subjects.filter((subject) => !staying.has(keyOf(subject))).length;
    const comingUnknown = add.unknownExternalIds.filter((id) => !this.#unknown.has(unknownHash(id))).length;
    const unknown = this.#unknown.size - leavingUnknown.length + comingUnknown;
    if (staying.size + coming + unknown > MOST_WATCHED)
      throw invalid("add", `a watch has at most ${MOST_WATCHED} users`);
    for (const user of leaving) this.#remove(user);
    for (const hash of leavingUnknown) this.#removeUnknown(hash);
    this.#add(add);
    this.#mailbox.ring();
  }

  /** What to tell next, some users at a time. Of those that are gone it has to be looked up before whether they were deleted. */
  take(defaultStatus: string): UserPresence[] {
    const presences: UserPresence[] = [];
    if (this.isRolledBack) return presences;
    const now = this.#deps.hub.now ?? 0;
    for (const hash of this.#unsentUnknown) {
      if (presences.length >= MOST_PRESENCES) break;
      const externalId = this.#unknown.get(hash) ?? "";
      presences.push({ userId: "", externalId, status: defaultStatus, revision: 0, step: 0 });
      this.#tellUnknown(hash);
    }
    for (const user of this.#mailbox.dirty) {
      if (presences.length >= MOST_PRESENCES) break;
      const isKnown = this.#unsent.has(user) ? this.#isKnown(user) : false;
      if (isKnown === undefined) continue;
      this.#mailbox.dirty.delete(user);
      if (!this.#users.has(user) || this.#isRefreshed(user)) continue;
      user.waiting?.delete(this.#mailbox);
      if (user.state === "deleted" || this.#gone.get(user)) this.#lose(user);
      else {
        if (!isKnown) presences.push(user.presence(defaultStatus));
        this.#told.tell(user, this.#unsent.delete(user), now);
      }
    }
    return presences;
  }

  /** The next one of the list that was deleted. */
  takeDeleted(): string | undefined {
    const user = this.#deleted.shift();
    if (user) this.#told.forget(user.hash);
    return user?.subject.userId;
  }

  /** Forgets what an earlier stream told: this one has said how everybody is. */
  finish(): void {
    this.#resumption = undefined;
  }

  /** Moves the point on from which another stream can go on. */
  confirm(defaultStatus: string): void {
    const { identity, now, epoch } = this.#deps.hub;
    if (identity === undefined || now === undefined || !this.isTold) return;
    this.#told.confirm(
      this.#users,
      this.#mailbox.dirty,
      now,
      epoch,
      originOf(identity, this.#projectId, defaultStatus),
    );
  }

  close(): void {
    for (const user of this.#users) this.#deps.hub.leave(user, this.#mailbox);
    this.#users.clear();
    this.#unsent.clear();
    this.#mailbox.dirty.clear();
  }

  #add({ subjects, unknownExternalIds }: WatchTargets): void {
    const { hub } = this.#deps;
    for (const subject of subjects) {
      const known = hub.find(subject);
      if (known && this.#users.has(known)) continue;
      const user = hub.join(subject, this.#mailbox);
      this.#users.add(user);
      this.#unsent.add(user);
    }
    for (const externalId of unknownExternalIds) {
      const hash = unknownHash(externalId);
      if (!this.#unknown.has(hash)) this.#unsentUnknown.add(hash);
      this.#unknown.set(hash, externalId);
    }
  }

  #remove(user: WatchedUser): void {
    this.#users.delete(user);
    this.#mailbox.dirty.delete(user);
    if (!this.#unsent.delete(user)) this.#told.forget(user.hash);
    this.#deps.hub.leave(user, this.#mailbox);
  }

  #removeUnknown(hash: number): void {
    this.#unknown.delete(hash);
    if (!this.#unsentUnknown.delete(hash)) this.#told.forget(hash);
  }

  #tellUnknown(hash: number): void {
    this.#unsentUnknown.delete(hash);
    this.#told.tellUnknown(hash);
  }

  /** A deletion that the reader is to be told of, which is when it is off its list. */
  #lose(user: WatchedUser): void {
    this.#users.delete(user);
    if (this.#unsent.delete(user)) this.#told.tell(user, true, this.#deps.hub.now ?? 0);
    this.#deleted.push(user);
    this.#deps.hub.leave(user, this.#mailbox);
  }

  /** Whether the reader knows how things are with a user, from an earlier stream; undefined: that is to be looked up. */
  #isKnown(user: WatchedUser): boolean | undefined {
    if (!this.#resumption?.knows(user)) return false;
    return user.state === "missing" && !this.#gone.has(user) ? undefined : true;
  }

  /** What may be older than what the reader knows is read again first. */
  #isRefreshed(user: WatchedUser): boolean {
    if (!this.#unsent.has(user) || !this.#resumption || this.#resumption.isFresh(user)) return false;
    this.#deps.hub.refresh(user, this.#mailbox);
    return true;
  }

  /** Somebody who is not there either never was, which the reader knows, or was deleted meanwhile: those of whom that is to be looked up. */
  get gone(): WatchedUser[] {
    if (!this.#resumption) return [];
    return [...this.#mailbox.dirty].filter((user) => this.#unsent.has(user) && this.#isKnown(user) === undefined);
  }

  /** Looks up whether they were deleted. */
  async lookUp(asked: readonly WatchedUser[]): Promise<void> {
    const ids = asked.map(({ subject }) => subject.userId);
    const deleted = await this.#deps.deletedAmong(this.#projectId, ids);
    for (const user of asked) this.#gone.set(user, deleted.has(user.subject.userId));
  }
}
