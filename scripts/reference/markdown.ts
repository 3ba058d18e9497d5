/** What stands at the top of every page made from source. */
export const GENERATED = "<!-- Made by `npm run generate`. Change the source, not this page. -->";

/** A table; the cells are escaped already. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = head.map((_, column) => rows.some((row) => row[column] !== ""));
  const line = (cells: readonly string[]) => `| ${cells.filter((_, column) => used[column]).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Text that stands in a cell of a table. */
export const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** The link target that hosts of Markdown give to a heading. */
export const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");
