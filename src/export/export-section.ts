import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Database } from "../db/orm.ts";
import type { Sealer } from "../sealing.ts";

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | JsonMap;
export interface JsonMap {
  readonly [name: string]: Json;
}

/** What a section does with the columns of a table; `project_id` and `user_id` need no word, as the document says them once. */
export interface SectionTable {
  /** Columns whose values stand in the document. */
  readonly exported: readonly string[];
  /** Columns that do not, each with the reason. */
  readonly withheld?: Readonly<Record<string, string>>;
}

/** What is read of a user for whom. */
export interface ExportReader {
  readonly projectId: string;
  /** Where addresses of what this instance serves begin. */
  readonly publicUrl: string;
  /** Of a message of the contract, in JSON with the names of the proto, what the reader may see; null: nothing of such a message. */
  visible(typeName: string, message: JsonMap): JsonMap | null;
}

/** What the pages of a list are read by. */
export interface ExportScope extends ExportReader {
  readonly db: Database;
  readonly signal: AbortSignal;
  /** Opens what is held sealed, and is no secret to whom it is about. */
  readonly sealer: Sealer;
  /** The `pg_snapshot` that the rest of the document was read by: says of a transaction whether it had committed then. */
  readonly snapshot: string;
}

interface SectionCommon {
  /** The member of the document, in snake_case; docs/export.md describes it. */
  readonly name: string;
  /** The tables it speaks for. Of every table that holds something of a user, each column has to be spoken for by some section. */
  readonly tables: Readonly<Record<string, SectionTable>>;
}

/** What a feature holds of a user, of a size that has a bound: one value, read in one transaction with those of the other features. */
export interface ValueSection extends SectionCommon {
  readonly kind: "value";
  /** Null: nothing is held. */
  read(em: SqlEntityManager, reader: ExportReader, userId: string): Promise<Json>;
}

/** What a feature holds of a user, however much: an array, read a page at a time when the reader of the export gets to it. */
export interface ListSection extends SectionCommon {
  readonly kind: "list";
  pages(scope: ExportScope, userId: string): AsyncIterable<readonly Json[]>;
}

/** What a feature gives to the export of a user. It never gives a secret, nor what a secret is checked by. */
export type ExportSection = ValueSection | ListSection;
