import { randomBytes, randomUUID } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { checkSealed, countSealed, reseal } from "../../src/db/reseal.ts";
import { SEALED_COLUMNS } from "../../src/sealed-columns.ts";
import { createSealer, type Sealer } from "../../src/sealing.ts";
import { signingKeyContext } from "../../src/tokens/create-signing-key.ts";
import { isCode, sealCode } from "../../src/users/locator-code.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
const [old, fresh] = [randomBytes(32), randomBytes(32)];
const [before, rotating, after] = [createSealer([old]), createSealer([fresh, old]), createSealer([fresh])];
const [oldId, freshId] = [before.keyIds[0] as string, after.keyIds[0] as string];
const projectId = randomUUID();
const secretOf = (id: string) => Buffer.from(`secret of ${id}`);

/** Adds signing keys whose secrets are sealed by `sealer`; gives their ids. */
async function addKeys(count: number, sealer: Sealer): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  const sealed = ids.map((id) => sealer.seal(secretOf(id), signingKeyContext(projectId, id)));
  await db.pool.query(
    `insert into signing_keys (project_id, id, algorithm, public_jwk, sealed_private_key, create_time, activate_time, last_expire_time)
      select $1, n.id, 'ED25519', '{}', n.sealed, now(), now(), now() from unnest($2::uuid[], $3::bytea[]) as n (id, sealed)`,
    [projectId, ids, sealed],
  );
  return ids;
}

/** Which of the secrets open for `sealer`. */
async function opening(sealer: Sealer): Promise<string[]> {
  const { rows } = await db.pool.query<{ id: string; sealed_private_key: Buffer }>("select * from signing_keys");
  return rows
    .filter(({ id, sealed_private_key: sealed }) => {
      try {
        return sealer.open(sealed, signingKeyContext(projectId, id)).equals(secretOf(id));
      } catch {
        return false;
      }
    })
    .map(({ id }) => id)
    .toSorted();
}

beforeEach(async () => {
  await db.pool.query("delete from projects");
  await db.pool.query(
    "insert into projects (id, display_name, create_time, update_time) values ($1, 'A', now(), now())",
    [projectId],
  );
});

describe("sealing anew", () => {
  test("brings every secret under the first key, whichever key it was under, and is done once", async () => {
    const ids = [...(await addKeys(250, before)), ...(await addKeys(30, after))];
    expect(await reseal(db, rotating, SEALED_COLUMNS)).toEqual({ resealed: 250, unopened: 0 });
    expect(await opening(after)).toEqual(ids.toSorted());
    expect(await reseal(db, rotating, SEALED_COLUMNS)).toEqual({ resealed: 0, unopened: 0 });
  });

  test("reaches secrets that are bound to more than their key", async () => {
    const userId = randomUUID();
    const subject = { projectId, userId, type: "email", key: 'a"b@example.org' } as const;
    await db.pool.query(
      "insert into users (project_id, id, external_id, create_time, update_time) values ($1, $2, 'u', now(), now())",
      [projectId, userId],
    );
    const insert = `insert into locator_codes (project_id, type, key, user_id, sealed_digest, expire_time, sends, window_start, send_time)
      values ($1, 'email', $2, $3, $4, now(), 1, now(), now())`;
    await db.pool.query(insert, [projectId, subject.key, userId, sealCode(before, subject, "12345678")]);
    await db.pool.query(insert, [projectId, "used@example.org", userId, null]);
    expect(await reseal(db, rotating, SEALED_COLUMNS)).toEqual({ resealed: 1, unopened: 0 });
    const { rows } = await db.pool.query("select sealed_digest from locator_codes where sealed_digest is not null");
    expect(isCode(after, subject, rows[0].sealed_digest, "12345678")).toBe(true);
  });

  test("by several at once, while secrets are written and taken away, loses none and brings back none", async () => {
    const ids = await addKeys(300, before);
    const [removed, replaced] = [ids.slice(0, 50), ids.slice(50, 100)];
    const replace = async (id: string) =>
      db.pool.query("update signing_keys set sealed_private_key = $2 where id = $1", [
        id,
        rotating.seal(secretOf(id), signingKeyContext(projectId, id)),
      ]);
    const remove = (id: string) => db.pool.query("delete from signing_keys where id = $1", [id]);
    const [, , ...rest] = await Promise.all([
      reseal(db, rotating, SEALED_COLUMNS),
      reseal(db, rotating, SEALED_COLUMNS),
      addKeys(50, rotating),
      ...removed.map(remove),
      ...replaced.map(replace),
    ]);
    const added = rest[0] as string[];
    expect(await opening(after)).toEqual([...ids.slice(50), ...added].toSorted());
  });

  test("leaves alone what does not open, and says so", async () => {
    const [moved = "", kept = "", ...others] = await addKeys(110, before);
    await db.pool.query("delete from signing_keys where id = $1", [moved]);
    await db.pool.query("update signing_keys set id = $2 where id = $1", [kept, moved]);
    const foreign = createSealer([randomBytes(32)]);
    await addKeys(2, foreign);
    expect(await reseal(db, rotating, SEALED_COLUMNS)).toEqual({ resealed: 108, unopened: 1 });
    expect(await opening(after)).toEqual(others.toSorted());
    expect(await countSealed(db, SEALED_COLUMNS)).toEqual(
      expect.arrayContaining([
        { table: "signing_keys", keyId: freshId, rows: 108 },
        { table: "signing_keys", keyId: oldId, rows: 1 },
        { table: "signing_keys", keyId: foreign.keyIds[0], rows: 2 },
      ]),
    );
  });
});

test("a server does not start without a key that something is sealed under, and says which", async () => {
  await expect(checkSealed(db, after, SEALED_COLUMNS)).resolves.toBeUndefined();
  await addKeys(3, before);
  for (const sealer of [before, rotating, createSealer([old, fresh])])
    await expect(checkSealed(db, sealer, SEALED_COLUMNS)).resolves.toBeUndefined();
  await expect(checkSealed(db, after, SEALED_COLUMNS)).rejects.toThrow(oldId);
  await reseal(db, rotating, SEALED_COLUMNS);
  await expect(checkSealed(db, after, SEALED_COLUMNS)).resolves.toBeUndefined();
  await expect(checkSealed(db, before, SEALED_COLUMNS)).rejects.toThrow(freshId);
});
