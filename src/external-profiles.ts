import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import type { ProfilePorts } from "./external-auth/proven-user.ts";
import { createProfiles } from "./external-auth/user-data-message.ts";
import { createValueCheck } from "./rpc/strict-decode-checks.ts";
import type { Check } from "./rpc/validate.ts";
import { profileChange } from "./users/user-message.ts";

/** Reads what others say of users by the rules that requests are held to, which `check` knows as far as they are declared. */
export function externalProfiles(check: Check): ProfilePorts {
  const checkValues = createValueCheck();
  return createProfiles({
    // No message tells how long the JSON was: each Struct is measured.
    check: (schema, message) => [...checkValues(schema, message, Number.POSITIVE_INFINITY), ...check(schema, message)],
    profileChange: (user, paths) => profileChange(user, create(FieldMaskSchema, { paths: [...paths] }), "SYSTEM"),
  });
}
