import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ExplainExternalTokenResponseSchema } from "../gen/muster/v1/external_auth_service_pb.ts";
import { type User, UserSchema } from "../gen/muster/v1/user_pb.ts";
import type { UserRow } from "../users/users.ts";
import type { Explanation } from "./explain-external-token.ts";

/** What the server sets, and what follows from other fields. */
const OF_THE_SERVER = ["id", "create_time", "update_time", "last_active_time", "etag", "locators"];

/** An explanation as it goes on the wire; `userMessage` makes the users it compares. */
export const explanationMessage = (
  { verdicts, wouldCreate, before, after }: Explanation,
  userMessage: (user: UserRow) => User,
): MessageInitShape<typeof ExplainExternalTokenResponseSchema> =>
  create(ExplainExternalTokenResponseSchema, {
    checks: verdicts.map((verdict) => ({ ...verdict })),
    wouldCreate,
    wouldUpdate: after ? changedFields(before && userMessage(before), userMessage(after)) : [],
  });

/** The fields, by their names in the proto, that are another value after; without a user before, those that have one. */
function changedFields(before: User | undefined, after: User): string[] {
  const empty = before ?? create(UserSchema);
  return UserSchema.fields
    .filter(({ name }) => !OF_THE_SERVER.includes(name))
    .filter(({ localName }) => spelled(empty, localName) !== spelled(after, localName))
    .map(({ name }) => name);
}

const spelled = (user: User, name: string): string =>
  JSON.stringify((user as unknown as Record<string, unknown>)[name], (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  ) ?? "";
