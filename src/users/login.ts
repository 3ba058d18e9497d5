import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { invalid } from "../errors.ts";
import { skeletonOf } from "../skeleton.ts";
import type { ProjectScope } from "./find-user.ts";
import type { ProfileChange } from "./profile.ts";
import { loginKey } from "./user-key.ts";

/** Letters, marks on them, ASCII digits and a few signs; a letter, a digit or `_` at both ends. */
const CHARACTERS = /^[\p{L}0-9_](?:[\p{L}\p{M}0-9._@+-]*[\p{L}\p{M}0-9_])?$/u;
/** No writing puts more than two marks on a letter that does not have them composed. */
const MARKS = /\p{M}{3}/u;
/** What fonts show as nothing although Unicode calls it a letter: the fillers of Hangul and Khmer's inherent vowels. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\u{1160}\u{115f}\u{3164}\u{ffa0}]/u;

/** The scripts in use today: UAX #31 table 5, "Recommended". */
const SCRIPTS =
  "Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana Kannada Katakana Khmer Lao Latin Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan".split(
    " ",
  );
/** The scripts that one login may mix: those of UTS #39 §5.2 "Highly Restrictive". */
const MIXES = [
  ["Latin", "Han", "Hiragana", "Katakana"],
  ["Latin", "Han", "Bopomofo"],
  ["Latin", "Han", "Hangul"],
];
const WRITTEN_IN = [...SCRIPTS.map((script) => [script]), ...MIXES].map((scripts) => {
  const classes = scripts.map((script) => `\\p{scx=${script}}`).join("");
  return new RegExp(`^[${classes}\\p{scx=Common}\\p{scx=Inherited}]*$`, "u");
});

/** Letters that look like another one in capitals as well: too many names differ in them alone to hold all names to it. */
const reservedKey = (login: string): string => skeletonOf(login).replaceAll("i", "l");

/**
 * Names that a reader would take for the operator of the service, by what looks like them. Those that begin with a dot are refused by
 * their characters. They are for nobody: a server as well passes on what its users ask for.
 */
const RESERVED = new Set(
  "abuse admin administrator anonymous everyone help helpdesk hostmaster info me moderator muster no-reply nobody noreply null official operator owner postmaster root security staff superuser support sysadmin system undefined webmaster"
    .split(" ")
    .map(reservedKey),
);

/** What is wrong with a login for a user that does not have it yet; undefined: nothing. */
export function faultOfLogin(login: string): string | undefined {
  if (login.normalize("NFKC") !== login) return "is not in the normal form NFKC";
  if (!CHARACTERS.test(login) || INVISIBLE.test(login) || MARKS.test(login))
    return "must be letters, digits and . _ - @ +, with a letter, a digit or _ at both ends";
  if (!WRITTEN_IN.some((script) => script.test(login))) return "mixes scripts, or is written in one that is not in use";
  if (RESERVED.has(reservedKey(login))) return "is reserved";
  return undefined;
}

/** $1 project, $2 the login as it is compared, $3 as it is written. */
const IS_HELD: Statement = {
  name: "users_login_held",
  text: "select from users where project_id = $1 and login_key = $2 and login = $3",
};

/** Refuses a change that gives a login against the rules. One that a user has from before there were rules can be written again. */
export async function requireLogin(
  { pool }: Pick<Database, "pool">,
  { projectId, signal }: ProjectScope,
  { fields, values }: ProfileChange,
): Promise<void> {
  const { login } = values;
  const fault = login && fields.has("login") ? faultOfLogin(login) : undefined;
  if (!login || !fault) return;
  const held = await query(pool, IS_HELD, [projectId, loginKey(login), login], signal);
  if (held.length === 0) throw invalid("user.login", fault);
}
