import { KEYS, mailboxOf } from "../../users/users.ts";
import type { ProvenUser } from "../proven-user.ts";

/** What a proof says about who somebody is, as it is kept with the identity. */
export interface ProvenIdentity {
  readonly providerId: string;
  readonly subject: string;
  readonly email: string | null;
  readonly emailVerified: boolean;
}

/** RFC 5321 §4.5.3.1.3: no mailbox is longer. What is, is no email. */
const LONGEST_EMAIL = 254;

/** The identity that a proof of a provider stands for. An email counts as verified where the proof says `true`, and not where it says `"true"`. */
export function provenIdentity(providerId: string, { subject, userData }: ProvenUser): ProvenIdentity {
  const { email: given, email_verified: verified } = userData;
  const isEmail = typeof given === "string" && given !== "" && Buffer.byteLength(given) <= LONGEST_EMAIL;
  return { providerId, subject, email: isEmail ? given : null, emailVerified: isEmail && verified === true };
}

/** The email by which an identity may be linked, as it is compared; undefined: by none. */
export const linkingEmail = ({ email, emailVerified }: ProvenIdentity): string | undefined =>
  email !== null && emailVerified && mailboxOf(email) ? KEYS.email.comparable(email) : undefined;
