/** Types that nobody gets who has not asked for them: they come with every write. */
const ONLY_WHEN_NAMED: ReadonlySet<string> = new Set(["user.updated"]);

/**
 * Whether a webhook gets events of the type. `patterns` are types, or `user.*`: all that begin with `user.`. Without any it gets all but those
 * that have to be asked for.
 */
export function wantsEvents(patterns: readonly string[], type: string): boolean {
  if (patterns.length === 0) return !ONLY_WHEN_NAMED.has(type);
  return patterns.some((pattern) =>
    pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern,
  );
}
