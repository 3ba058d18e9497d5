import { MusterError } from "../../errors.ts";
import { createGuessedPasswords, type GuessedPasswords } from "./guessed-passwords.ts";

const SHORTEST = 8;
const LONGEST = 1_024;

/** What can be wrong with a password, in words. */
const PROBLEMS = {
  TOO_SHORT: `must be at least ${SHORTEST} bytes`,
  TOO_LONG: `must be at most ${LONGEST} bytes`,
  COMMON: "is one of those that are guessed first",
} as const;

/** What is hashed of a password: its UTF-8 in NFC, so that it is the same from every keyboard. */
export const bytesOf = (password: string): Buffer => Buffer.from(password.normalize("NFC"), "utf8");

/** Holds new passwords against the rules. */
export interface PasswordRules {
  /** The bytes to hash: 8 to 1,024. PASSWORD_WEAK, with `problem` in its metadata. */
  require(password: string): Promise<Buffer>;
}

/** NIST SP 800-63B-4 §3.1.1: length counts and guessability does, characters of certain kinds do not. */
export function createPasswordRules(guessed: GuessedPasswords = createGuessedPasswords(SHORTEST)): PasswordRules {
  return {
    async require(password) {
      const bytes = bytesOf(password);
      if (bytes.length < SHORTEST) throw weak("TOO_SHORT");
      if (bytes.length > LONGEST) throw weak("TOO_LONG");
      if (isRepetition(password) || (await guessed.has(password.normalize("NFC")))) throw weak("COMMON");
      return bytes;
    },
  };
}

/** One character over and over. */
const isRepetition = (password: string): boolean => /^(.)\1*$/su.test(password);

const weak = (problem: keyof typeof PROBLEMS): MusterError =>
  new MusterError("PASSWORD_WEAK", {
    metadata: { problem },
    violations: [{ field: "password", description: PROBLEMS[problem] }],
  });
