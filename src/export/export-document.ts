import type { ExportScope, Json, JsonMap, ListSection } from "./export-section.ts";

/** What an export is made of. */
export interface ExportParts {
  /** The first members: what the document is, and the values. */
  readonly head: JsonMap;
  /** The members after them. */
  readonly lists: readonly ListSection[];
  readonly scope: ExportScope;
  readonly userId: string;
  /** Fails if there is nothing more to export. Asked before anything that was read goes out. */
  requireStanding(): Promise<void>;
}

/**
 * The document, piece by piece. Nothing is read before the piece before it is taken, and what was read goes out only if the user was
 * still there after it was. The brace at the end says the same of the whole: without it the document is no JSON.
 */
export async function* exportDocument(parts: ExportParts): AsyncGenerator<string> {
  const { head, lists, scope, userId, requireStanding } = parts;
  await requireStanding();
  yield JSON.stringify(head).slice(0, -1);
  for (const { name, pages } of lists) {
    yield `,${JSON.stringify(name)}:[`;
    let separator = "";
    for await (const page of pages(scope, userId)) {
      await requireStanding();
      yield separator + page.map((item: Json) => JSON.stringify(item)).join(",");
      separator = ",";
    }
    yield "]";
  }
  await requireStanding();
  yield "}\n";
}

/** Text as UTF-8 in chunks of exactly `size` bytes, but for the last one. A chunk may end within a character. */
export async function* chunksOf(pieces: AsyncIterable<string>, size: number): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    const bytes = Buffer.concat([rest, Buffer.from(piece)]);
    let at = 0;
    for (; bytes.length - at >= size; at += size) yield bytes.subarray(at, at + size);
    rest = bytes.subarray(at);
  }
  if (rest.length > 0) yield rest;
}
