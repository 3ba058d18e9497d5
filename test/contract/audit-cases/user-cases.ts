import { LocatorType } from "../../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../../src/gen/muster/v1/user_service_pb.ts";
import { PASSWORD } from "../../sessions/sessions-fixture.ts";
import { text } from "../../users/attributes-fixture.ts";
import { someImage } from "../../users/avatar-fixture.ts";
import { auditCase, type CaseOf, refOf, type World } from "./case.ts";

const HEIGHT = { key: "height", contentTypes: ["text/plain"] };
const EMAIL = { type: LocatorType.EMAIL, value: "alice@example.org" };

/** A user, whom calls are about. */
async function withAlice({ project }: World, email = "") {
  const users = project.system(UserService);
  const { user } = await users.upsertUser({ externalId: "alice", user: { email } });
  return { users, id: user?.id ?? "", ref: refOf(user?.id ?? "") };
}

async function withHeight(world: World) {
  const alice = await withAlice(world);
  await alice.users.defineAttribute({ definition: HEIGHT });
  return { ...alice, attributes: { height: text("1.7 m") } };
}

async function withSuspension(world: World) {
  const alice = await withAlice(world);
  const { user } = await alice.users.suspendUser({ ref: alice.ref, suspension: { reason: "spam" } });
  return { ...alice, suspensionId: user?.suspensions[0]?.id ?? "" };
}

/** UserService. */
export const USER_CASES: Readonly<Record<string, CaseOf>> = {
  UpsertUser: async () =>
    auditCase({
      call: (client) => client(UserService).upsertUser({ externalId: "alice", user: { name: "A" } }),
      changed: ({ user }) => [{ userId: user?.id }],
      repeats: "nothing",
    }),
  BatchUpsertUsers: async (world) => {
    const { id } = await withAlice(world);
    return auditCase({
      call: (client) =>
        client(UserService).batchUpsertUsers({
          users: ["alice", "bob"].map((externalId) => ({ externalId, user: { name: "A" } })),
        }),
      changed: ({ results }) => [{ userId: id }, { userId: results[1]?.user?.id }],
      repeats: "nothing",
    });
  },
  UpdateUser: async (world) => {
    const { id, ref } = await withAlice(world);
    return auditCase({
      call: (client) => client(UserService).updateUser({ ref, user: { name: "B" } }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  DeleteUser: async (world) => {
    const { id, ref } = await withAlice(world);
    return auditCase({
      call: (client) => client(UserService).deleteUser({ ref }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  DefineAttribute: async () =>
    auditCase({
      call: (client) => client(UserService).defineAttribute({ definition: HEIGHT }),
      changed: () => [{ target: "attribute_definition/height" }],
    }),
  DeleteAttributeDefinition: async (world) => {
    const { id, ref, users, attributes } = await withHeight(world);
    await users.setAttributes({ ref, attributes });
    const target = "attribute_definition/height";
    return auditCase({
      call: (client) => client(UserService).deleteAttributeDefinition({ key: "height" }),
      changed: () => [{ target }, { userId: id, target }],
      afterwards: "the definition, marked as deleted so far, goes once nobody has a value of it",
      repeats: "nothing",
    });
  },
  SetAttributes: async (world) => {
    const { id, ref, attributes } = await withHeight(world);
    return auditCase({
      call: (client) => client(UserService).setAttributes({ ref, attributes }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  AddLocator: async (world) => {
    const { id, ref } = await withAlice(world);
    return auditCase({
      call: (client) => client(UserService).addLocator({ ref, locator: EMAIL }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  RemoveLocator: async (world) => {
    const { id, ref } = await withAlice(world, EMAIL.value);
    return auditCase({
      call: (client) => client(UserService).removeLocator({ ref, locator: EMAIL }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  RequestLocatorVerification: async (world) => {
    const { id, ref } = await withAlice(world, "asked@example.org");
    const locator = { ...EMAIL, value: "asked@example.org" };
    return auditCase({
      call: (client) => client(UserService).requestLocatorVerification({ ref, locator }),
      changed: () => [{ userId: id }],
    });
  },
  VerifyLocator: async (world) => {
    const value = "verified@example.org";
    const { id, ref, users } = await withAlice(world, value);
    const locator = { ...EMAIL, value };
    await users.requestLocatorVerification({ ref, locator });
    const [mail = ""] = await world.mailsTo(value, 1);
    const code = /code for Test is (\d{8})\./.exec(mail)?.[1] ?? "";
    return auditCase({
      call: (client) => client(UserService).verifyLocator({ ref, locator, code }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  SetPassword: async (world) => {
    const { id, ref } = await withAlice(world);
    return auditCase({
      call: (client) => client(UserService).setPassword({ ref, password: PASSWORD }),
      changed: () => [{ userId: id }],
    });
  },
  SuspendUser: async (world) => {
    const { id, ref } = await withAlice(world);
    return auditCase({
      call: (client) => client(UserService).suspendUser({ ref, suspension: { reason: "spam", blocksSignIn: true } }),
      changed: ({ user }) => [{ userId: id, target: `suspension/${user?.suspensions[0]?.id}` }],
      afterwards: "the suspension begins at once, as its entry says",
    });
  },
  LiftSuspension: async (world) => {
    const { id, ref, suspensionId } = await withSuspension(world);
    return auditCase({
      call: (client) => client(UserService).liftSuspension({ ref, suspensionId }),
      changed: () => [{ userId: id, target: `suspension/${suspensionId}` }],
      repeats: "nothing",
    });
  },
  SetAvatar: async (world) => {
    const [{ id, ref }, image] = [await withAlice(world), await someImage(1)];
    return auditCase({
      call: (client) => client(UserService).setAvatar({ ref, image }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
  DeleteAvatar: async (world) => {
    const { id, ref, users } = await withAlice(world);
    await users.setAvatar({ ref, image: await someImage(2) });
    return auditCase({
      call: (client) => client(UserService).deleteAvatar({ ref }),
      changed: () => [{ userId: id }],
      repeats: "nothing",
    });
  },
};
