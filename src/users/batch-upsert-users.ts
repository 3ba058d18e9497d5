import { rehearse } from "../db/rehearse.ts";
import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { ProjectScope } from "./find-user.ts";
import { maskOf, PROFILE_COLUMNS, type ProfileChange } from "./profile.ts";
import { UPSERT_USERS } from "./upsert-statements.ts";
import {
  forgetEndsAt,
  mayHaveEnded,
  type SettledUser,
  settleUser,
  type UpsertedUser,
  type UserInput,
  type UserPorts,
  type WritePorts,
  writeUser,
} from "./upsert-user.ts";
import type { UserRow } from "./user-statements.ts";

/** What came of one item: the user, or why there is none. */
export type UpsertResult = UpsertedUser | MusterError;

interface Item extends SettledUser {
  readonly position: number;
}

/**
 * `upsertUser` for many, an answer for each in their order: one statement for those that write the same fields. Items that fail
 * together are tried in halves until the culprits stand alone. `validateOnly`: all of it is taken back in the end.
 */
export async function batchUpsertUsers(
  ports: UserPorts,
  scope: ProjectScope,
  inputs: readonly UserInput[],
  validateOnly = false,
): Promise<UpsertResult[]> {
  const results: UpsertResult[] = [];
  // Before anything is written: what a rehearsal waits for must not wait for the connections that rehearsals hold.
  const items = await settledItems(ports, scope, inputs, results);
  const write = (pool: WritePorts["db"]["pool"]) => writeItems({ ...ports, db: { pool } }, scope, items, results);
  if (validateOnly) await rehearse(ports.db.pool, write, scope.signal);
  else await write(ports.db.pool);
  if (!validateOnly && results.some((result, i) => hasEnded(inputs[i], result))) ports.announceEnd();
  return results;
}

const hasEnded = (input: UserInput | undefined, result: UpsertResult): boolean =>
  input !== undefined && !(result instanceof MusterError) && mayHaveEnded(input, result);

async function writeItems(ports: WritePorts, scope: ProjectScope, items: Item[], results: UpsertResult[]) {
  for (const wave of wavesOf(items)) {
    const taken = wave.filter(({ mayCreate }) => mayCreate);
    for (const group of Map.groupBy(taken, ({ change }) => alikeBy(change)).values())
      await many(ports, scope, group, results);
    for (const item of wave) if (!item.mayCreate) await one(ports, scope, item, results);
  }
}

/** What items must have in common to be written by one statement. */
const alikeBy = ({ fields, removedAttributes = [] }: ProfileChange): string => `${maskOf(fields)} ${removedAttributes}`;

/** The items held against the rules; what one fails for is its result. */
async function settledItems(
  ports: UserPorts,
  scope: ProjectScope,
  inputs: readonly UserInput[],
  results: UpsertResult[],
): Promise<Item[]> {
  const items: Item[] = [];
  for (const [position, input] of inputs.entries()) {
    try {
      items.push({ ...(await settleUser(ports, scope, input)), position });
    } catch (error) {
      results[position] = ownFault(error);
    }
  }
  return items;
}

/** A database that is away, or a caller that left, ends the batch; what is one item's own fault is its answer. */
function ownFault(error: unknown): MusterError {
  if (!(error instanceof MusterError) || error.reason === "STORAGE_UNAVAILABLE") throw error;
  return error;
}

/** Items in the order given, but each external id at most once a wave: a statement cannot write a row twice. */
function wavesOf(items: readonly Item[]): Item[][] {
  const waves: Item[][] = [];
  const seen = new Map<string, number>();
  for (const item of items) {
    const wave = item.externalId ? (seen.get(item.externalId) ?? 0) : 0;
    if (item.externalId) seen.set(item.externalId, wave + 1);
    (waves[wave] ??= []).push(item);
  }
  return waves;
}

async function one(ports: WritePorts, scope: ProjectScope, item: Item, results: UpsertResult[]): Promise<void> {
  try {
    results[item.position] = await writeUser(ports, scope, item);
  } catch (error) {
    results[item.position] = ownFault(error);
  }
}

async function many(ports: WritePorts, scope: ProjectScope, items: Item[], results: UpsertResult[]): Promise<void> {
  const [only] = items;
  if (!only) return;
  if (items.length === 1) return one(ports, scope, only, results);
  try {
    const rows = await writeAll(ports, scope, items);
    for (const item of items) {
      const row = rows.get(item.position);
      if (row) results[item.position] = row;
      else await one(ports, scope, item, results);
    }
  } catch (error) {
    ownFault(error);
    const middle = items.length >> 1;
    await many(ports, scope, items.slice(0, middle), results);
    await many(ports, scope, items.slice(middle), results);
  }
}

async function writeAll(
  { db, clock, newId }: WritePorts,
  scope: ProjectScope,
  items: readonly Item[],
): Promise<Map<number, UpsertedUser>> {
  const positions = new Map<string, number>();
  const records = items.map(({ position, externalId, change, passwordHash }) => {
    const id = newId();
    positions.set(externalId || id, position);
    const profile = PROFILE_COLUMNS.map((column) => [column.name, column.value(change.values)]);
    const password = passwordHash !== undefined && { password_hash: passwordHash };
    return { id, external_id: externalId || id, event_id: newId(), ...password, ...Object.fromEntries(profile) };
  });
  const { change, longestLifeMs } = items[0] as Item;
  const hasPasswords = items.some(({ passwordHash }) => passwordHash !== undefined);
  const values = () => {
    const now = clock.now();
    const head = [scope.projectId, maskOf(change.fields), new Date(now), JSON.stringify(records)];
    return [...head, change.removedAttributes ?? [], ...(hasPasswords ? [forgetEndsAt(now, longestLifeMs)] : [])];
  };
  const statement = hasPasswords ? UPSERT_USERS.withPasswords : UPSERT_USERS.plain;
  const rows = await query<UserRow & Pick<UpsertedUser, "outcome">>(db.pool, statement, values, scope.signal);
  return new Map(rows.map(({ outcome, ...user }) => [positions.get(user.externalId) ?? -1, { user, outcome }]));
}
