/** The passwords that are tried first by whoever guesses. */
export interface GuessedPasswords {
  /** Whether a password is one of them, without regard to case. The first call loads the list. */
  has(password: string): Promise<boolean>;
}

/** The list of zxcvbn, of which those long enough to be taken otherwise are kept: some 18,000. */
export function createGuessedPasswords(shortest: number): GuessedPasswords {
  let loading: Promise<ReadonlySet<string>> | undefined;

  async function load(): Promise<ReadonlySet<string>> {
    const { dictionary } = await import("@zxcvbn-ts/language-common");
    return new Set(dictionary["passwords-common"].filter((password) => password.length >= shortest));
  }

  return {
    async has(password) {
      loading ??= load();
      return (await loading).has(password.toLowerCase());
    },
  };
}
