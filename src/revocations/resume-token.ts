import { MusterError } from "../errors.ts";
import type { PageTokens } from "../page-tokens.ts";
import { BEGINNING, type RevocationCursor } from "./read-revocations.ts";

/** A snapshot longer than this, of very many transactions at once, is cut to where its oldest one began: some come again. */
const MOST_CHARACTERS = 1_000;

const contextOf = (projectId: string) => ({ list: "revocations", projectId, query: null });

/** A cursor for a reader of the project to keep: opaque, and of no use in another one. */
export function createResumeToken(
  tokens: PageTokens,
  projectId: string,
  { seen, within }: RevocationCursor,
): Uint8Array {
  const whole = within && within.snapshot.length <= MOST_CHARACTERS ? within : undefined;
  const position = [cut(seen), whole?.snapshot ?? null, whole?.transactionId ?? null, String(whole?.sequence ?? 0)];
  return Buffer.from(tokens.issue(contextOf(projectId), position));
}

/** The cursor that was kept; undefined: there is none, or none of this project. */
export function readResumeToken(
  tokens: PageTokens,
  projectId: string,
  token: Uint8Array,
): RevocationCursor | undefined {
  if (token.length === 0) return undefined;
  try {
    const [seen, snapshot, transactionId, sequence] = tokens.read(
      contextOf(projectId),
      Buffer.from(token).toString("latin1"),
    );
    const within = snapshot && transactionId ? { snapshot, transactionId, sequence: Number(sequence) } : undefined;
    return { seen: seen ?? BEGINNING.seen, ...(within && { within }) };
  } catch (error) {
    if (error instanceof MusterError) return undefined;
    throw error;
  }
}

function cut(snapshot: string): string {
  if (snapshot.length <= MOST_CHARACTERS) return snapshot;
  const [oldest] = snapshot.split(":");
  return `${oldest}:${oldest}:`;
}
