import type { Setting } from "../../src/setting.ts";
import { SETTINGS } from "../../src/settings.ts";
import { cell, GENERATED, table } from "./markdown.ts";

/** The reference of every setting of the environment. */
export function configurationPage(): string {
  const settings: Setting<unknown>[] = Object.values(SETTINGS);
  const rows = settings.map((it) => [
    `\`${it.name}\``,
    it.default === undefined ? "–" : `\`${it.default}\``,
    cell(it.description),
  ]);
  return [
    "# Configuration",
    GENERATED,
    "All settings are environment variables. An unknown `MUSTER_` name or a bad value stops the start with exit code 1 and names every problem, never a value. " +
      "Spans are written like `250ms`, `30s`, `5m` or `2h`.",
    table(["Name", "Default", "Meaning"], rows),
  ].join("\n\n");
}
