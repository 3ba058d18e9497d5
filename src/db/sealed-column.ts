import type { SealContext } from "../sealing.ts";

/**
 * A column of secrets that are sealed under the instance's encryption key. Its table has an index `<table>_sealing` on the first 5 bytes of
 * the column, which name the key, and the primary key.
 */
export interface SealedColumn {
  readonly table: string;
  readonly column: string;
  /** The columns of the table's primary key, in its order. */
  readonly key: readonly string[];
  /** What else `contextOf` reads. */
  readonly others?: readonly string[];
  /** What the secret of a row is bound to. */
  contextOf(row: Readonly<Record<string, string>>): SealContext;
}
