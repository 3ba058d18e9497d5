import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { LocatorType, type User, UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { maskOf, PROFILE_COLUMNS } from "../../src/users/profile.ts";
import type { UserRow } from "../../src/users/user-statements.ts";

/** How rows are read by a floor: `bigint` as number, as in the subject. */
export const ROW_TYPES = new pg.TypeOverrides();
ROW_TYPES.setTypeParser(pg.types.builtins.INT8, Number);

/** A row of a bench user as its message, by hand. */
export const userOf = (row: UserRow): User =>
  create(UserSchema, {
    id: row.id,
    externalId: row.externalId,
    login: row.login as string,
    name: row.name as string,
    email: row.email as string,
    emailVerified: row.emailVerified,
    phone: row.phone as string,
    phoneVerified: row.phoneVerified,
    locators: row.locators.map(({ type, value, verified, primary }) => ({
      type: type === "email" ? LocatorType.EMAIL : LocatorType.PHONE,
      value,
      verified,
      primary,
    })),
    metadata: row.metadata as never,
    tags: row.tags,
    reputation: BigInt(row.reputation),
    guest: row.guest,
    createTime: timestampFromDate(row.createTime),
    updateTime: timestampFromDate(row.updateTime),
    ...(row.lastActiveTime && { lastActiveTime: timestampFromDate(row.lastActiveTime) }),
    etag: `v${row.version}`,
  });

/** The mask of the fields that bench users have. */
export const BENCH_MASK = maskOf(new Set(["name", "email", "metadata"] as const));

/** A bench user's columns by their names. */
export const columnsOf = ({ name, email, metadata }: User) => ({
  name,
  name_key: name?.toLowerCase(),
  email,
  email_key: email?.toLowerCase(),
  email_verified: false,
  phone_verified: false,
  metadata,
  attributes: {},
  tags: [],
  reputation: 0,
});

/** The values of a bench user's columns, in the order that the statements take them. */
export function profileValues(user: User): unknown[] {
  const columns: Record<string, unknown> = columnsOf(user);
  return PROFILE_COLUMNS.map(({ name }) => columns[name]);
}
