import { randomBytes } from "node:crypto";
import pg from "pg";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";
import { spawnChild } from "./child.ts";
import { generateUsers } from "./generated-users.ts";
import type { SubjectOptions } from "./subject-process.ts";
import { makeTenant } from "./tenant.ts";

/** A database whose one project has many users, for rows to start from: each is given a copy. */
export interface Roll {
  readonly users: number;
  readonly template: string;
  /** What the Muster that made it was started with, and all others on copies are. */
  readonly keys: Pick<SubjectOptions, "operatorKey" | "encryptionKey">;
  readonly tenant: { readonly projectId: string; readonly accessKey: string };
}

/** Keys of a Muster of its own. */
export const newKeys = (): Roll["keys"] => ({
  operatorKey: `mop_${randomBytes(32).toString("base64url")}`,
  encryptionKey: randomBytes(32),
});

/** Makes a project of `users` users in a database of its own. */
export async function makeRoll(address: DatabaseAddress, users: number): Promise<Roll> {
  const database = await newDatabase(address);
  const keys = newKeys();
  await using muster = spawnChild("subject-process.ts");
  const options: SubjectOptions = { database, ...keys };
  using tenant = await makeTenant(await muster.ask<string>("start", options), options, users);
  const pool = new pg.Pool(connectionOptions(database));
  await generateUsers(pool, tenant.projectId, users);
  await pool.end();
  const { projectId, accessKey } = tenant;
  return { users, template: database.database, keys, tenant: { projectId, accessKey } };
}

/** A database in the Postgres of `address`: an empty one, or a copy. Nobody may be at the one that is copied. */
export async function newDatabase(address: DatabaseAddress, template?: string): Promise<DatabaseAddress> {
  const database = `bench_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client(connectionOptions(address));
  await client.connect();
  await client.query(`create database ${database} ${template ? `template ${template}` : ""}`);
  await client.end();
  return { ...address, database };
}
