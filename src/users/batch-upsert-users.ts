import { type WriteScope, write } from "../db/recorded.ts";
import { rehearse } from "../db/rehearse.ts";
import { MusterError } from "../errors.ts";
import { maskOf, PROFILE_COLUMNS } from "./profile.ts";
import { INSERT_USERS, UPSERT_USERS } from "./upsert-statements.ts";
import {
  changeDetails,
  forgetEndsAt,
  hasWritten,
  mayHaveEnded,
  type SettledUser,
  settleUser,
  type UpsertedUser,
  type UserInput,
  type UserPorts,
  type WritePorts,
  type WrittenUser,
  writeUser,
} from "./upsert-user.ts";

/** What came of one item: the user, or why there is none. */
export type UpsertResult = UpsertedUser | MusterError;

interface Item extends SettledUser {
  readonly position: number;
}

/**
 * `upsertUser` for many, an answer for each in their order: one statement for those that write the same fields. Where they differ, or one
 * fails, those that are new and can be made are made first. What still fails together is tried in halves until the culprits stand
 * alone. `validateOnly`: all of it is taken back in the end.
 */
export async function batchUpsertUsers(
  ports: UserPorts,
  scope: WriteScope,
  inputs: readonly UserInput[],
  validateOnly = false,
): Promise<UpsertResult[]> {
  const results: UpsertResult[] = [];
  // Before anything is written: what a rehearsal waits for must not wait for the connections that rehearsals hold.
  const items = await settledItems(ports, scope, inputs, results);
  const writeBy = (pool: WritePorts["db"]["pool"]) => writeItems({ ...ports, db: { pool } }, scope, items, results);
  if (validateOnly) await rehearse(ports.db.pool, writeBy, scope.signal);
  else await writeBy(ports.db.pool);
  if (!validateOnly && results.some((result, i) => hasEnded(inputs[i], result))) ports.announceEnd();
  return results;
}

const hasEnded = (input: UserInput | undefined, result: UpsertResult): boolean =>
  input !== undefined && !(result instanceof MusterError) && mayHaveEnded(input, result);

async function writeItems(ports: WritePorts, scope: WriteScope, items: Item[], results: UpsertResult[]) {
  for (const wave of wavesOf(items)) {
    const taken = wave.filter(({ mayCreate }) => mayCreate);
    const left = await asOne(ports, scope, taken, results);
    for (const group of groupsOf(left).values()) await many(ports, scope, group, results);
    for (const item of wave) if (!item.mayCreate) await one(ports, scope, item, results);
  }
}

/** Writes items by one statement as far as that goes; gives those that are left. */
async function asOne(ports: WritePorts, scope: WriteScope, items: Item[], results: UpsertResult[]): Promise<Item[]> {
  if (items.length < 2) return items;
  const isAlike = groupsOf(items).size === 1;
  if (isAlike && (await all(ports, scope, items, results))) return [];
  return makeNew(ports, scope, items, results);
}

/** Items by what they must have in common to be written by one statement. */
const groupsOf = (items: readonly Item[]): Map<string, Item[]> =>
  Map.groupBy(items, ({ change: { fields, removedAttributes = [] } }) => `${maskOf(fields)} ${removedAttributes}`);

/** The items held against the rules; what one fails for is its result. */
async function settledItems(
  ports: UserPorts,
  scope: WriteScope,
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

async function one(ports: WritePorts, scope: WriteScope, item: Item, results: UpsertResult[]): Promise<void> {
  try {
    results[item.position] = await writeUser(ports, scope, item);
  } catch (error) {
    results[item.position] = ownFault(error);
  }
}

async function many(ports: WritePorts, scope: WriteScope, items: Item[], results: UpsertResult[]): Promise<void> {
  const [only] = items;
  if (!only) return;
  if (items.length === 1) return one(ports, scope, only, results);
  if (await all(ports, scope, items, results)) return;
  const middle = items.length >> 1;
  await many(ports, scope, items.slice(0, middle), results);
  await many(ports, scope, items.slice(middle), results);
}

/** Writes items of one mask by one statement; false: one of them fails, and none is written. */
async function all(ports: WritePorts, scope: WriteScope, items: Item[], results: UpsertResult[]): Promise<boolean> {
  const { json, positions, hasPasswords } = recordsOf(ports, items);
  const { change, longestLifeMs } = items[0] as Item;
  const details = changeDetails(change.fields, hasPasswords);
  const values = () => {
    const now = ports.clock.now();
    const head = [scope.projectId, maskOf(change.fields), new Date(now), json, change.removedAttributes ?? [], details];
    return hasPasswords ? [...head, forgetEndsAt(now, longestLifeMs)] : head;
  };
  const statement = hasPasswords ? UPSERT_USERS.withPasswords : UPSERT_USERS.plain;
  try {
    settle(await write<WrittenUser>(ports.db, scope, statement, values, hasWritten), positions, results);
  } catch (error) {
    ownFault(error);
    return false;
  }
  // One that another call made in this moment is seen by a statement of its own.
  for (const item of items) if (!results[item.position]) await one(ports, scope, item, results);
  return true;
}

/** Makes those that are new, whatever fields they have; gives the others, and all where one fails for what only halves tell. */
async function makeNew(ports: WritePorts, scope: WriteScope, items: Item[], results: UpsertResult[]): Promise<Item[]> {
  const { json, positions, hasPasswords } = recordsOf(ports, items);
  const statement = hasPasswords ? INSERT_USERS.withPasswords : INSERT_USERS.plain;
  const values = () => [scope.projectId, new Date(ports.clock.now()), json];
  try {
    settle(await write<WrittenUser>(ports.db, scope, statement, values, hasWritten), positions, results);
  } catch (error) {
    ownFault(error);
  }
  return items.filter(({ position }) => !results[position]);
}

function settle(rows: readonly WrittenUser[], positions: ReadonlyMap<string, number>, results: UpsertResult[]): void {
  for (const { outcome, ...user } of rows)
    if (outcome !== "behind") results[positions.get(user.externalId) ?? -1] = { user, outcome };
}

/** The items as the statements for many take them. */
function recordsOf({ newId }: WritePorts, items: readonly Item[]) {
  const positions = new Map<string, number>();
  const records = items.map(({ position, externalId, change, passwordHash }) => {
    const id = newId();
    positions.set(externalId || id, position);
    const record: Record<string, unknown> = { id, external_id: externalId || id, event_id: newId() };
    for (const { name, value } of PROFILE_COLUMNS) record[name] = value(change.values);
    if (passwordHash !== undefined) record["password_hash"] = passwordHash;
    return record;
  });
  const hasPasswords = items.some(({ passwordHash }) => passwordHash !== undefined);
  return { json: JSON.stringify(records), positions, hasPasswords };
}
