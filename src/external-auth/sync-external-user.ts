import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import {
  adoptExternalId,
  type ProfileChange,
  type SettledUser,
  type UpsertedUser,
  type WritePorts,
  writeUser,
} from "../users/users.ts";

/** How often others may come first: somebody takes an email or a phone, or lets go of one. */
const MOST_TRIES = 8;

/** What goes with an address that is left out: whether another one is verified, it does not say. */
const LEFT_OUT = { email: ["email", "emailVerified"], phone: ["phone", "phoneVerified"] } as const;

/**
 * Makes the user of an external id, or brings it up to date; a known user that is as it should be costs one statement and writes nothing.
 * An email or a phone that another user holds is left out, so that nobody locks anybody out by taking an address; but with `linksByEmail` a
 * verified email whose holder has verified it too stands for that user: the external id becomes the holder's own where neither belongs to
 * somebody already, and is IDENTITY_CONFLICT otherwise. LOGIN_TAKEN; REQUEST_INVALID for an external id that the project does not take.
 */
export async function syncExternalUser(
  ports: WritePorts,
  scope: WriteScope,
  settled: SettledUser,
  linksByEmail: boolean,
): Promise<UpsertedUser> {
  let { change } = settled;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      return await writeUser(ports, scope, { ...settled, change });
    } catch (error) {
      const taken = takenAddress(error);
      if (!taken) throw error;
      const isLinked = taken === "email" && linksByEmail && (await linkByEmail(ports, scope, settled));
      if (!isLinked) change = without(change, LEFT_OUT[taken]);
    }
  }
  throw new MusterError("CONFLICT");
}

/** Whether the email need not be left out: it is the user's own now, or somebody was at it. IDENTITY_CONFLICT. */
async function linkByEmail(
  ports: WritePorts,
  scope: WriteScope,
  { externalId, change: { values } }: SettledUser,
): Promise<boolean> {
  const { email, emailVerified } = values;
  if (!email || emailVerified !== true) return false;
  const outcome = await adoptExternalId(ports, scope, { email, externalId });
  if (outcome !== "CONTESTED") return outcome !== "UNVERIFIED";
  const cause = new Error("another user holds the email, verified, and neither can become the other");
  throw new MusterError("IDENTITY_CONFLICT", { cause });
}

function takenAddress(error: unknown): keyof typeof LEFT_OUT | undefined {
  if (!(error instanceof MusterError) || error.reason !== "LOCATOR_TAKEN") return undefined;
  return error.extra.metadata?.["type"] === "phone" ? "phone" : "email";
}

/** A change but for some of its fields. */
function without(change: ProfileChange, fields: readonly string[]): ProfileChange {
  const values = Object.entries(change.values).filter(([field]) => !fields.includes(field));
  return {
    ...change,
    fields: new Set([...change.fields].filter((field) => !fields.includes(field))),
    values: Object.fromEntries(values),
  };
}
