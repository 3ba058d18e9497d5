import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import type { Host } from "./host.ts";

type Fields = Record<string, unknown>;

/** A message as JSON, with the names of the proto and every field that has a value or a default. */
export function recordOf<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Fields {
  return toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true }) as Fields;
}

/** Text as it is; anything else as JSON. */
export function printValue(host: Host, value: unknown): void {
  host.stdout.write(`${typeof value === "string" ? value : JSON.stringify(value, null, 2)}\n`);
}

/** One thing: JSON, or a line per field. */
export function printRecord(host: Host, json: boolean, record: Fields): void {
  printValue(host, json ? record : linesOf(record).join("\n"));
}

function linesOf(record: Fields, prefix = ""): string[] {
  return Object.entries(record).flatMap(([name, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? linesOf(value as Fields, `${prefix}${name}.`)
      : [`${prefix}${name}: ${cellOf(value)}`],
  );
}

/** Many things: JSON, or a table of some fields with a heading. */
export function printTable(host: Host, json: boolean, records: Fields[], columns: string[]): void {
  if (json) return printValue(host, records);
  const rows = [columns, ...records.map((record) => columns.map((column) => cellOf(record[column])))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  printValue(
    host,
    rows
      .map((row) =>
        row
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join("  ")
          .trimEnd(),
      )
      .join("\n"),
  );
}

/** Names come from callers: no control character reaches the terminal. */
function cellOf(value: unknown): string {
  if (value === undefined || value === null || value === "") return "-";
  const text = Array.isArray(value) ? value.join(",") || "-" : String(value);
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, "\uFFFD");
}
