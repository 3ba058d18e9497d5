import { InvalidArgumentError } from "commander";

/** Makes a parser of settings one of options: what it refuses is misuse of the command. */
export const optionValue =
  <T>(parse: (text: string) => T) =>
  (text: string): T => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(`It ${(error as Error).message}.`);
    }
  };
