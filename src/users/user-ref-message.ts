import { MusterError } from "../errors.ts";
import type { UserRef } from "../gen/muster/v1/user_pb.ts";
import type { UserKey } from "./user-key.ts";

/** The key a ref names a user by. `me` has been replaced by then, and an unset ref refused. */
export function userKeyOf(message: UserRef | undefined): UserKey {
  const ref = message?.ref;
  if (ref?.case === undefined || ref.case === "me") throw new MusterError("RESERVED_USER");
  return { by: ref.case, value: ref.value };
}
