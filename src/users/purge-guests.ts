import type { Clock } from "../clock.ts";
import { type Act, serverAct } from "../db/act.ts";
import type { Database } from "../db/orm.ts";
import { writeAnywhere } from "../db/recorded.ts";
import type { NewId } from "../ids.ts";
import { type AnnounceEnd, beforeTimeAt, forgetAfter } from "../revocations/revocations.ts";
import type { AnnounceDeletion } from "./announce-deletion.ts";
import { DELETE_GUESTS, GUEST_BATCH } from "./deletion-statements.ts";

export interface PurgePorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  /** The instance's default life of a token, in milliseconds. */
  readonly tokenTtlMs: number;
  readonly announceEnd: AnnounceEnd;
  readonly announceDeletion: AnnounceDeletion;
  readonly announceEvents: Act["committed"];
}

/**
 * Deletes the guests whose time is over, as DeleteUser deletes a user: the project's `guest_ttl` after they came onto the roll. Each
 * batch is a transaction of its own. One that became a full user stays.
 */
export async function purgeGuests(ports: PurgePorts, signal: AbortSignal): Promise<void> {
  const { db, clock, newId, tokenTtlMs, announceEnd, announceDeletion } = ports;
  const scope = { signal, act: serverAct("job/guests", ports.announceEvents) };
  for (let count = GUEST_BATCH; count === GUEST_BATCH; ) {
    const now = clock.now();
    const eventIds = Array.from({ length: GUEST_BATCH }, newId);
    const values = [eventIds, new Date(now), forgetAfter(beforeTimeAt(now).getTime()), tokenTtlMs];
    const gone = await writeAnywhere<{ projectId: string; id: string }>(db, scope, DELETE_GUESTS, values);
    if (gone.length > 0) announceEnd();
    for (const { projectId, id } of gone) announceDeletion(projectId, id);
    count = gone.length;
  }
}
