import { describe, expect, test } from "vitest";
import { Access } from "../../src/gen/muster/v1/access_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { alice, type Definition, held, me, NONE, projectWith, text } from "./attributes-fixture.ts";

const app = await startApp();
const { client, db, clock } = app;

describe("who sees and sets an attribute", () => {
  const definitions: Definition[] = [
    { key: "open", readers: [Access.USER], writers: [Access.SELF] },
    { key: "own", readers: [Access.SELF], writers: [Access.SELF] },
    { key: "shown", readers: [Access.SELF] },
    { key: "secret", readers: [Access.SYSTEM] },
  ];
  const all = Object.fromEntries(definitions.map(({ key = "" }) => [key, text(key)]));

  test("is what its definition says, in every answer that holds a user", async () => {
    const { project, users } = await projectWith(app, ...definitions);
    const { id, token } = await project.signedInUser("alice");
    const bob = await project.signedInUser("bob");
    const whole = held((await users.setAttributes({ ref: alice, attributes: all })).user);
    expect(Object.keys(whole).toSorted()).toEqual(["open", "own", "secret", "shown"]);
    const [self, other] = [client(UserService, token), client(UserService, bob.token)];
    const byId = { ref: { case: "id", value: id } } as const;
    const mine = { open: "open", own: "own", shown: "shown" };
    expect(held((await self.getUser({ ref: me })).user)).toEqual(mine);
    expect(held((await self.updateUser({ ref: me, user: { name: "A" } })).user)).toEqual(mine);
    expect(held((await self.batchGetUsers({ refs: [byId, me] })).users[0])).toEqual(mine);
    expect(held((await other.getUser({ ref: byId })).user)).toEqual({ open: "open" });
    expect((await other.batchGetUsers({ refs: [byId, me] })).users.map(held)).toEqual([{ open: "open" }, {}]);
  });

  test("changes with it, on every server within a second", async () => {
    const { project } = await projectWith(app, ...definitions);
    const users = project.system(UserService);
    await users.setAttributes({ ref: alice, attributes: all });
    const elsewhere = await startApp({ db, clock });
    const seen = async () => held((await elsewhere.client(UserService, bob.token).getUser({ ref: alice })).user);
    const bob = await elsewhere
      .client(UserService, project.accessKey)
      .upsertUser({ externalId: "bob" })
      .then(() => project.signedInUser("bob"));
    expect(await seen()).toEqual({ open: "open" });
    await users.defineAttribute({ definition: { key: "open", contentTypes: ["text/plain"], readers: [Access.SELF] } });
    await clock.advance(1_000);
    expect(await seen()).toEqual({});
  });

  test("holds for what a user sets of itself, and lets it set nothing of others", async () => {
    const { project, users } = await projectWith(app, ...definitions);
    const { token } = await project.signedInUser("alice");
    const { id } = await project.signedInUser("bob");
    const self = client(UserService, token);
    const { user } = await self.setAttributes({ ref: me, attributes: { open: text("1"), own: text("2") } });
    expect(held(user)).toEqual({ open: "1", own: "2" });
    for (const key of ["shown", "secret"]) {
      expect(
        await refusalOf(self.setAttributes({ ref: me, attributes: { open: text("x"), [key]: text("x") } })),
      ).toMatchObject({
        reason: "PRINCIPAL_NOT_ALLOWED",
        metadata: { field: `attributes["${key}"]` },
      });
      const update = self.updateUser({ ref: me, user: { attributes: { [key]: NONE } } });
      expect(await refusalOf(update)).toMatchObject({
        reason: "PRINCIPAL_NOT_ALLOWED",
        metadata: { field: `user.attributes["${key}"]` },
      });
    }
    const bob = { ref: { case: "id", value: id } } as const;
    expect(await reasonOf(self.setAttributes({ ref: bob, attributes: { open: text("x") } }))).toBe(
      "PRINCIPAL_NOT_ALLOWED",
    );
    expect(held((await users.getUser({ ref: alice })).user)).toEqual({ open: "1", own: "2" });
  });

  test("holds where a user clears them: what it may not set stays", async () => {
    const { project, users } = await projectWith(app, ...definitions);
    const { token } = await project.signedInUser("alice");
    await users.setAttributes({ ref: alice, attributes: all });
    const mask = { paths: ["attributes"] };
    await client(UserService, token).updateUser({
      ref: me,
      user: { attributes: { own: text("new") } },
      updateMask: mask,
    });
    expect(held((await users.getUser({ ref: alice })).user)).toEqual({ own: "new", shown: "shown", secret: "secret" });
  });
});
