import { Bell } from "../bell.ts";
import type { UserWatcher, WatchedUser } from "./watched-user.ts";

/**
 * What a reader has to look at again: users, not what happened to them. However slow the reader, it holds each of its users
 * at most once, and states in between are skipped.
 */
export class Mailbox extends Bell implements UserWatcher {
  readonly dirty = new Set<WatchedUser>();
  /** Whether the engine lost something the reader was told of. */
  rolledBack = false;

  onChange(user: WatchedUser): void {
    const isFirst = this.dirty.size === 0;
    this.dirty.add(user);
    // Who knows that there is something comes by itself.
    if (isFirst) this.ring();
  }

  onRollback(): void {
    this.rolledBack = true;
    this.ring();
  }
}
