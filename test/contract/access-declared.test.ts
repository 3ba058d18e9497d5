import { type DescField, getOption, hasOption } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { readContract } from "../../scripts/reference/descriptors.ts";
import { Access, access, field_access, RateBucket, subject_field } from "../../src/gen/muster/v1/access_pb.ts";
import { file_muster_v1_audit_service } from "../../src/gen/muster/v1/audit_service_pb.ts";
import { file_muster_v1_event_service } from "../../src/gen/muster/v1/event_service_pb.ts";
import { file_muster_v1_external_auth_service } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { file_muster_v1_presence_service } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { file_muster_v1_project_service } from "../../src/gen/muster/v1/project_service_pb.ts";
import { file_muster_v1_session_service } from "../../src/gen/muster/v1/session_service_pb.ts";
import { file_muster_v1_token_service } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { file_muster_v1_user_service } from "../../src/gen/muster/v1/user_service_pb.ts";

const FILES = [
  file_muster_v1_audit_service,
  file_muster_v1_event_service,
  file_muster_v1_external_auth_service,
  file_muster_v1_presence_service,
  file_muster_v1_project_service,
  file_muster_v1_session_service,
  file_muster_v1_token_service,
  file_muster_v1_user_service,
];
const methods = FILES.flatMap((file) => file.services.flatMap((service) => service.methods));
const { messages } = readContract();

test("these tests see every service of the contract", () => {
  const named = (services: readonly { typeName: string }[]) => services.map((it) => it.typeName).toSorted();
  expect(named(FILES.flatMap((file) => file.services))).toEqual(named(readContract().services));
});

describe.each(methods.map((method) => [`${method.parent.name}.${method.name}`, method] as const))("%s", (_, method) => {
  const declared = getOption(method, access);

  test("says who may call it", () => {
    expect(declared.allow).not.toEqual([]);
    expect(declared.allow).not.toContain(Access.UNSPECIFIED);
  });

  test("says which rate bucket it is charged to", () => {
    expect(declared.bucket).not.toBe(RateBucket.UNSPECIFIED);
  });

  test("says whether it may be asked for by GET, if its name is that of a read", () => {
    const isRead = /^(Get|BatchGet|List|Watch|Count|Export)/.test(method.name);
    expect(method.idempotency === 1).toBe(isRead);
  });
});

test("every field of User says who sees it", () => {
  expect(UserSchema.fields.filter((it) => !readersOf(it)?.length).map((it) => it.name)).toEqual([]);
});

test("who may set a field of User may see it", () => {
  const blind = UserSchema.fields.filter((it) => {
    const readers = readersOf(it) ?? [];
    const sees = (who: Access) => readers.includes(who) || (who === Access.SELF && readers.includes(Access.USER));
    return !getOption(it, field_access).write.every(sees);
  });
  expect(blind.map((it) => it.name)).toEqual([]);
});

test("a message with a field that only the user itself sees says whom it is about", () => {
  const nameless = messages.filter((message) => {
    if (!message.fields.some((it) => readersOf(it)?.includes(Access.SELF))) return false;
    const subject = getOption(message, subject_field);
    return !message.fields.some((it) => it.name === subject);
  });
  expect(nameless.map((message) => message.typeName)).toEqual([]);
});

function readersOf(of: DescField): Access[] | undefined {
  return hasOption(of, field_access) ? getOption(of, field_access).read : undefined;
}
