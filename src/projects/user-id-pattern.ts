import { RE2JS } from "re2js";
import { invalid } from "../errors.ts";

/** Compiles `user_id_pattern`: RE2 syntax, which cannot be made to run long. REQUEST_INVALID. */
export function compilePattern(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch {
    throw invalid("settings.user_id_pattern", "is not a regular expression that RE2 understands");
  }
}

/** Whether an external id matches the project's pattern as a whole; an empty pattern takes all. */
export const matchesPattern = (pattern: string, externalId: string): boolean =>
  pattern === "" || compilePattern(pattern).matches(externalId);
