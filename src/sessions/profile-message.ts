import { create } from "@bufbuild/protobuf";
import { invalid, MusterError } from "../errors.ts";
import { type User, UserSchema } from "../gen/muster/v1/user_pb.ts";
import type { ProfileChange, UserKey } from "../users/users.ts";

export interface ProfilePorts {
  /** The change that a message of a profile asks for; `bySystem`: on behalf of `.system`, otherwise of the user itself. REQUEST_INVALID. */
  profileChange(user: User, bySystem: boolean): Promise<ProfileChange>;
}

/** Who a request wants to be. */
interface SignUpProfile {
  readonly login: string;
  readonly email: string;
  readonly user: User | undefined;
}

/** The profile of a user that signs up. REQUEST_INVALID. */
export async function signUpChange(
  ports: ProfilePorts,
  { login, email, user = create(UserSchema) }: SignUpProfile,
  bySystem: boolean,
): Promise<ProfileChange> {
  const message = create(UserSchema, { ...user, login: user.login || login, email: user.email || email });
  if (!message.login && !message.email) throw invalid("login", "must be given, or an email");
  return inOwnFields({ login, email }, ports.profileChange(message, bySystem));
}

/** The profile of a user of whom nothing is known but the key it signs in with. REQUEST_INVALID. */
export function profileOf(ports: ProfilePorts, { by, value }: UserKey): Promise<ProfileChange> {
  return ports.profileChange(create(UserSchema, { [by]: value }), false);
}

/** Tells of faults by the field of the request they stand in, not by that of the profile it was put in. */
export async function inOwnFields<T>(
  given: { readonly login: string; readonly email: string },
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof MusterError) || !error.extra.violations) throw error;
    const violations = error.extra.violations.map(({ field, description }) => {
      const own = (["login", "email"] as const).find((name) => given[name] && field === `user.${name}`);
      return { field: own ?? field, description };
    });
    throw new MusterError(error.reason, { ...error.extra, violations });
  }
}
