/** One setting of the environment. */
export interface Setting<T> {
  readonly name: string;
  /** For people: what it does, its unit and its bounds. */
  readonly description: string;
  /** What is taken when it is not set, in the form it would be set in. A secret has none. */
  readonly default?: string;
  /** Gives the value. Throws an Error that continues "NAME …" and repeats nothing of the text. */
  readonly parse: (text: string) => T;
}

/**
 * The values of settings by their keys; what is wrong with one is added to `problems`. An empty value counts as none: that is what
 * `NAME=` in an env file means.
 */
export function readValues(
  settings: Readonly<Record<string, Setting<unknown>>>,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Readonly<Record<string, unknown>> {
  const entries = Object.entries(settings).map(([key, setting]) => {
    const text = env[setting.name] || setting.default;
    try {
      return [key, text === undefined ? undefined : setting.parse(text)];
    } catch (error) {
      problems.push(`${setting.name} ${(error as Error).message}`);
      return [key, undefined];
    }
  });
  return Object.fromEntries(entries) as Readonly<Record<string, unknown>>;
}
