import { StartError } from "./start-error.ts";

/** Everything that is wrong with the environment. Names settings, never a value. */
export class ConfigError extends StartError {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(["The configuration is not valid:", ...problems].join("\n  "));
    this.problems = problems;
  }
}
