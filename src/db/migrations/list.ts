import { Projects } from "./2026-11-21-01-projects.ts";
import { Users } from "./2026-11-21-02-users.ts";
import { Tokens } from "./2026-11-21-03-tokens.ts";
import { Events } from "./2026-11-21-04-events.ts";
import { Presence } from "./2026-11-21-05-presence.ts";
import { Attributes } from "./2026-11-22-01-attributes.ts";
import { Locators } from "./2026-11-22-02-locators.ts";
import { Suspensions } from "./2026-11-22-03-suspensions.ts";
import { Avatars } from "./2026-11-22-04-avatars.ts";
import { Retrieval } from "./2026-11-22-05-retrieval.ts";
import { LocatorCodes } from "./2026-11-22-06-locator-codes.ts";
import { RetrievalIndexes } from "./2026-11-22-07-retrieval-indexes.ts";
import { Jobs } from "./2026-11-22-08-jobs.ts";
import { Passwords } from "./2026-11-22-09-passwords.ts";
import { EventsByUser } from "./2026-11-22-10-events-by-user.ts";
import { RevocationsByUser } from "./2026-11-22-10-revocations-by-user.ts";
import { Revocations } from "./2026-11-22-11-revocations.ts";
import { SealingIndexes } from "./2026-11-22-12-sealing-indexes.ts";
import { SigningKeyIndexes } from "./2026-11-22-12-signing-key-indexes.ts";
import { SigningKeys } from "./2026-11-22-12-signing-keys.ts";
import { Sessions } from "./2026-11-22-13-sessions.ts";
import { Logins, LoginsIndex } from "./2026-11-22-14-logins.ts";
import { Attempts } from "./2026-11-22-15-attempts.ts";
import { RetrievalStatistics } from "./2026-11-22-16-retrieval-statistics.ts";
import { ExpiryIndexes } from "./2026-11-22-17-expiry-indexes.ts";
import { PasswordResets } from "./2026-11-22-18-password-resets.ts";

/** Every migration, in the order they run. The names are kept in the database: never change one. */
export const MIGRATIONS = [
  { name: "2026-11-21-01-projects", class: Projects },
  { name: "2026-11-21-02-users", class: Users },
  { name: "2026-11-21-03-tokens", class: Tokens },
  { name: "2026-11-21-04-events", class: Events },
  { name: "2026-11-21-05-presence", class: Presence },
  { name: "2026-11-22-01-attributes", class: Attributes },
  { name: "2026-11-22-02-locators", class: Locators },
  { name: "2026-11-22-03-suspensions", class: Suspensions },
  { name: "2026-11-22-04-avatars", class: Avatars },
  { name: "2026-11-22-06-locator-codes", class: LocatorCodes },
  { name: "2026-11-22-05-retrieval", class: Retrieval },
  { name: "2026-11-22-07-retrieval-indexes", class: RetrievalIndexes },
  { name: "2026-11-22-09-passwords", class: Passwords },
  { name: "2026-11-22-14-logins", class: Logins },
  { name: "2026-11-22-14-logins-index", class: LoginsIndex },
  { name: "2026-11-22-08-jobs", class: Jobs },
  { name: "2026-11-22-17-expiry-indexes", class: ExpiryIndexes },
  { name: "2026-11-22-11-revocations", class: Revocations },
  { name: "2026-11-22-12-signing-keys", class: SigningKeys },
  { name: "2026-11-22-12-signing-key-indexes", class: SigningKeyIndexes },
  { name: "2026-11-22-13-sessions", class: Sessions },
  { name: "2026-11-22-10-events-by-user", class: EventsByUser },
  { name: "2026-11-22-10-revocations-by-user", class: RevocationsByUser },
  { name: "2026-11-22-12-sealing-indexes", class: SealingIndexes },
  { name: "2026-11-22-15-attempts", class: Attempts },
  { name: "2026-11-22-18-password-resets", class: PasswordResets },
  { name: "2026-11-22-16-retrieval-statistics", class: RetrievalStatistics },
] as const;
