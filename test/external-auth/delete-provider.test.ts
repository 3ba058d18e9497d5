import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const { pool } = app.db;

/** A project with two providers, and users that have identities of them. */
async function projectWith(identities: number) {
  const project = await app.project();
  const auth = project.system(ExternalAuthService);
  for (const id of ["used", "other"])
    await auth.createProvider({
      provider: { id, config: { case: "oidc", value: { issuer: "https://issuer.example", clientId: "app" } } },
    });
  const { user } = await project.system(UserService).upsertUser({ externalId: "alice" });
  const insert = `insert into identities (project_id, provider_id, subject, user_id, create_time)
    select $1, $2, 'subject-' || n, $3, now() from generate_series(1, $4::int) n`;
  const link = (provider: string, many: number, client = pool) =>
    client.query(insert, [project.id, provider, user?.id, many]);
  await link("used", identities);
  const left = async (provider: string) => {
    const counted = "select count(*)::int as n from identities where project_id = $1 and provider_id = $2";
    return (await pool.query<{ n: number }>(counted, [project.id, provider])).rows[0]?.n;
  };
  return { auth, link, left, users: project.system(UserService) };
}

describe("a provider that users have identities of", () => {
  test("is deleted only by force, with those identities and no other", async () => {
    const { auth, link, left, users } = await projectWith(3);
    await link("other", 2);
    expect(await reasonOf(auth.deleteProvider({ provider: "used" }))).toBe("PROVIDER_IN_USE");
    expect(await left("used")).toBe(3);
    await auth.deleteProvider({ provider: "used", force: true });
    expect([await left("used"), await left("other")]).toEqual([0, 2]);
    expect(await reasonOf(auth.getProvider({ provider: "used" }))).toBe("PROVIDER_NOT_FOUND");
    const { user } = await users.getUser({ ref: { ref: { case: "externalId", value: "alice" } } });
    expect(user?.externalId).toBe("alice");
  });

  test("goes with more identities than one statement takes", async () => {
    const { auth, left } = await projectWith(12_000);
    await auth.deleteProvider({ provider: "used", force: true });
    expect(await left("used")).toBe(0);
  });

  test("is in use also by an identity that is being linked", async () => {
    const { auth, link } = await projectWith(0);
    const client = await pool.connect();
    try {
      await client.query("begin");
      await link("used", 1, client as never);
      const deleting = auth.deleteProvider({ provider: "used" });
      await waitsForLock();
      await client.query("commit");
      expect(await reasonOf(deleting)).toBe("PROVIDER_IN_USE");
    } finally {
      client.release();
    }
  });
});

/** Until some statement of this database waits for a row. */
async function waitsForLock(): Promise<void> {
  const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  while ((await pool.query(waiting)).rows.length === 0);
}
