import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AttributeDefinitionSchema, AttributeValue } from "../../src/gen/muster/v1/attribute_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import type { TestApp } from "../support/start-app.ts";

export const alice = { ref: { case: "externalId", value: "alice" } } as const;
export const me = { ref: { case: "me", value: true } } as const;

/** A value of text. */
export const text = (value: string, contentType = "text/plain") =>
  ({ contentType, value: { case: "text", value } }) as const;
/** A value of bytes. */
export const data = (value: Uint8Array, contentType = "image/png") =>
  ({ contentType, value: { case: "data", value } }) as const;
/** The value that removes. */
export const NONE = {};

export type Definition = MessageInitShape<typeof AttributeDefinitionSchema>;

/** A project that defines these attributes, of plain text unless they say otherwise, with alice on its roll. */
export async function projectWith(app: TestApp, ...definitions: Definition[]) {
  const project = await app.project();
  const users = project.system(UserService);
  for (const definition of definitions)
    await users.defineAttribute({ definition: { contentTypes: ["text/plain"], ...definition } });
  await users.upsertUser({ externalId: "alice" });
  return { project, users };
}

/** The values that a user was answered with, in short. */
export const held = (user: { attributes: Record<string, AttributeValue> } | undefined) =>
  Object.fromEntries(Object.entries(user?.attributes ?? {}).map(([key, { value }]) => [key, value.value]));
