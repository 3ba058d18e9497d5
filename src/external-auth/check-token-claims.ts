import { CLOCK_LEEWAY_MS, checkAge, checkSubject, checkTimes } from "../tokens/jwt-claims.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../tokens/strict-json.ts";
import { refused } from "../tokens/strict-jwt.ts";
import { settleUser } from "../users/users.ts";
import {
  type Examination,
  type ExternalTokenPorts,
  found,
  type TokenCheck,
  type WritingCheck,
} from "./external-token-ports.ts";
import { syncExternalUser } from "./sync-external-user.ts";
import { spanOf, tellingTimes, timesOf } from "./told-times.ts";
import { requireJti, useExternalJwt } from "./use-external-jwt.ts";
import { ignoredMembers, toldOfUserData } from "./user-data.ts";

/** Where in a request the user data are. */
const USER_DATA = "user_jwt.userData";

/** What a JWT says, whoever signed it. */
export const CLAIM_CHECKS: readonly TokenCheck[] = [
  {
    name: "subject",
    needs: ["form"],
    check(_, seen) {
      seen.subject = checkSubject(found(seen.jwt).claims);
      return `sub ${JSON.stringify(seen.subject)}, which is the external id`;
    },
  },
  {
    name: "times",
    needs: ["form"],
    check(_, seen) {
      const { claims } = found(seen.jwt);
      const rules = { nowMs: seen.nowMs, expiryLeewayMs: CLOCK_LEEWAY_MS };
      seen.times = tellingTimes(seen, () => checkTimes(claims, rules));
      return timesOf(seen);
    },
  },
  {
    name: "age",
    needs: ["times"],
    check(_, seen) {
      const { externalJwtMaxAgeMs: maxAgeMs } = seen.settings;
      const limit = `external_jwt_max_age is ${spanOf(maxAgeMs)}`;
      tellingTimes(seen, () => checkAge(found(seen.times), maxAgeMs, seen.nowMs), `; ${limit}`);
      return limit;
    },
  },
  { name: "profile", needs: ["subject"], check: checkProfile },
];

async function checkProfile(ports: ExternalTokenPorts, seen: Examination): Promise<string> {
  const userData = userDataOf(found(seen.jwt).claims["userData"]);
  const change = await ports.profileOf(userData, USER_DATA);
  const input = { externalId: found(seen.subject), change };
  seen.settled = await toldOfUserData(USER_DATA, settleUser(ports, seen.scope, input));
  const ignored = ignoredMembers(userData);
  const read = Object.keys(userData).filter((name) => !ignored.includes(name));
  return `userData has ${namesOf(read)}${ignored.length > 0 ? `; passed over: ${namesOf(ignored)}` : ""}`;
}

function userDataOf(userData: JsonValue | undefined): JsonObject {
  if (userData === undefined || userData === null) return {};
  if (!isJsonObject(userData)) throw refused("userData is not an object");
  return userData;
}

const MOST_NAMES = 20;
const namesOf = (names: readonly string[]): string =>
  names.length === 0 ? "nothing" : JSON.stringify(names.slice(0, MOST_NAMES)).slice(1, -1).replaceAll(",", ", ");

/** What is written, last: a JWT that fails before is not used up, and one that fails here is. */
export const WRITING_CHECKS: readonly WritingCheck[] = [
  {
    name: "single_use",
    needs: ["times"],
    async check({ db }, { jwt, scope, settings, times }) {
      if (!settings.externalJwtSingleUse) return "not asked for: external_jwt_single_use is off";
      await useExternalJwt(db, scope, requireJti(found(jwt).claims["jti"]), found(times));
      return "jti was not used before";
    },
  },
  {
    name: "user",
    needs: ["project", "signature", "subject", "times", "age", "profile", "single_use"],
    async check(ports, seen) {
      const { scope, settings, settled } = seen;
      const work = syncExternalUser(ports, scope, found(settled), settings.linkByVerifiedEmail);
      const { user, outcome } = (seen.written = await toldOfUserData(USER_DATA, work, { external_id: "user_jwt.sub" }));
      return outcome === "created" ? "is made" : `is ${user.id}, which is ${outcome}`;
    },
  },
];
