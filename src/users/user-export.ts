import { toJson } from "@bufbuild/protobuf";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { ExportReader, Json, JsonMap, ValueSection } from "../export/export-section.ts";
import { UserSchema } from "../gen/muster/v1/user_pb.ts";
import { UserEntity } from "./user.entity.ts";
import { userMessage } from "./user-message.ts";

/** Members of the message User that are sections of their own. */
const APART = ["locators", "suspensions", "attributes"];
/** What the message is made of. */
const USER_COLUMNS = [
  "id",
  "external_id",
  "login",
  "name",
  "email",
  "email_verified",
  "phone",
  "phone_verified",
  "avatar_url",
  "bio",
  "website",
  "birthdate",
  "time_zone",
  "latitude",
  "longitude",
  "metadata",
  "private_metadata",
  "tags",
  "reputation",
  "guest",
  "create_time",
  "update_time",
  "last_active_time",
  "version",
];

const COMPARED = "what identifiers and names are compared by: made of the column of that name";
const HELD = "says who holds an address: made of the user's locators";
const STARTS = "when a suspension begins: made of the user's suspensions";
const INDEXED = "what users are listed by: made of the user's attributes";

/** The user as its message says it in JSON, with the names of the proto, as the reader may see it; null: there is none. */
async function seenUser(
  em: SqlEntityManager,
  { projectId, visible }: ExportReader,
  id: string,
): Promise<JsonMap | null> {
  // Of one transaction, the first section reads the row and the others have it.
  const user = await em.findOne(UserEntity, { projectId, id });
  return (
    user && visible(UserSchema.typeName, toJson(UserSchema, userMessage(user), { useProtoFieldName: true }) as JsonMap)
  );
}

/** One of the members that stand apart. */
const memberSection = (name: string, none: Json, tables: ValueSection["tables"]): ValueSection => ({
  kind: "value",
  name,
  tables: { users: { exported: [name] }, ...tables },
  read: async (em, reader, userId) => (await seenUser(em, reader, userId))?.[name] ?? none,
});

/** What stands in the user's row, and what is made of it. */
export const USER_EXPORTS: readonly ValueSection[] = [
  {
    kind: "value",
    name: "user",
    tables: {
      users: {
        exported: USER_COLUMNS,
        withheld: { login_key: COMPARED, login_skeleton: COMPARED, name_key: COMPARED, email_key: COMPARED },
      },
    },
    async read(em, reader, userId) {
      const members = Object.entries((await seenUser(em, reader, userId)) ?? {});
      return Object.fromEntries(members.filter(([name]) => !APART.includes(name)));
    },
  },
  memberSection("locators", [], { locators: { exported: [], withheld: { type: HELD, key: HELD } } }),
  memberSection("suspensions", [], {
    pending_suspensions: { exported: [], withheld: { id: STARTS, start_time: STARTS, end_time: STARTS } },
  }),
  memberSection(
    "attributes",
    {},
    {
      user_attribute_index: { exported: [], withheld: { key: INDEXED, value: INDEXED, create_time: INDEXED } },
    },
  ),
  {
    kind: "value",
    name: "tokens_valid_from",
    tables: { users: { exported: ["tokens_valid_from"] } },
    async read(em, { projectId }, id) {
      const user = await em.findOne(UserEntity, { projectId, id });
      return user?.tokensValidFrom?.toISOString() ?? null;
    },
  },
];
