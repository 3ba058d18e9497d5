import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SetPresenceRequestSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import {
  AddLocatorRequestSchema,
  BatchUpsertUsersRequestSchema,
  UpdateUserRequestSchema,
} from "../../src/gen/muster/v1/user_service_pb.ts";
import { createWriteCheck } from "../../src/rpc/unwritable-fields.ts";

const check = createWriteCheck();
const locator = { type: LocatorType.EMAIL, value: "a@example.org" };

/** A message in a list or in another one, whose RPC a user may not call now, is looked into all the same. */
const REFUSED: [path: string, () => void][] = [
  ["user.tags", of(UpdateUserRequestSchema, { user: { name: "A", tags: ["t"] } })],
  ["user.tags", of(UpdateUserRequestSchema, { user: {}, updateMask: { paths: ["name", "tags"] } })],
  ["locator.verified", of(AddLocatorRequestSchema, { locator: { ...locator, verified: true } })],
  ["users.user.reputation", of(BatchUpsertUsersRequestSchema, { users: [{}, { user: { reputation: 1n } }] })],
  ["users.user.email", of(BatchUpsertUsersRequestSchema, { users: [{ user: {}, updateMask: { paths: ["email"] } }] })],
];

function of<S extends DescMessage>(schema: S, init: MessageInitShape<S>): () => void {
  return () => check(schema, create(schema, init));
}

test.each(REFUSED)("a user does not set %s", (field, call) => {
  expect(call).toThrow(expect.objectContaining({ reason: "PRINCIPAL_NOT_ALLOWED", extra: { metadata: { field } } }));
});

test("a user sets what is its own, and what the server sets is ignored with all that is in it", () => {
  const sent = { name: "A", metadata: { tags: 1 }, locators: [{ ...locator, verified: true }], guest: true };
  for (const call of [
    of(UpdateUserRequestSchema, { user: sent, updateMask: { paths: ["name"] } }),
    of(AddLocatorRequestSchema, { locator }),
    of(SetPresenceRequestSchema, { presence: { status: "a", expiresTo: { status: "b", expiresTo: { status: "c" } } } }),
  ])
    expect(call).not.toThrow();
});
