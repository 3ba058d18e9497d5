import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import type { Database } from "../db/orm.ts";
import { read } from "../db/transaction.ts";
import { LAST_KNOWN } from "../projects/projects.ts";
import {
  AttributeDefinitionEntity,
  type AttributeReader,
  type AttributeWriter,
} from "./attribute-definition.entity.ts";

/** What a project says of an attribute of its users. */
export interface AttributeDefinition {
  readonly key: string;
  /** MIME types in lower case, without parameters. */
  readonly contentTypes: readonly string[];
  readonly canBeEmpty: boolean;
  readonly readers: readonly AttributeReader[];
  readonly writers: readonly AttributeWriter[];
  /** Whether `user_attribute_index` has its values. */
  readonly filterable: boolean;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** A project's definitions by their keys, without those whose values are being deleted. */
export type DefinitionsByKey = ReadonlyMap<string, AttributeDefinition>;

/** The definitions as every call needs them. */
export interface AttributeDefinitions {
  /** What `of` would give at once; undefined: it would look. */
  known(projectId: string): DefinitionsByKey | undefined;
  /** At most half a second old, so that a change reaches every server within a second. */
  of(projectId: string): Promise<DefinitionsByKey>;
  /** As of now. */
  reload(projectId: string): Promise<DefinitionsByKey>;
  /** Makes this process read them anew. */
  forget(projectId: string): void;
}

const NONE: DefinitionsByKey = new Map();

/** Keeps the definitions of projects as their settings are kept: half a second while the database is there. */
export function createAttributeDefinitions(db: Database, clock: Clock): AttributeDefinitions {
  const known = createLastKnown<DefinitionsByKey>({
    ...LAST_KNOWN,
    clock,
    async load(projectId) {
      const found = await read(db, { projectId }, (em) =>
        em.find(AttributeDefinitionEntity, { deleteTime: null }, { orderBy: { key: "asc" } }),
      );
      return new Map(found.map((definition) => [definition.key, definitionRecord(definition)]));
    },
  });
  return {
    known: (projectId) => known.known(projectId),
    of: async (projectId) => (await known.get(projectId)) ?? NONE,
    reload: async (projectId) => (await known.reload(projectId)) ?? NONE,
    forget: (projectId) => known.forget(projectId),
  };
}

/** The record of a stored definition. */
export const definitionRecord = (stored: AttributeDefinitionEntity): AttributeDefinition => ({
  key: stored.key,
  contentTypes: stored.contentTypes,
  canBeEmpty: stored.canBeEmpty,
  readers: stored.readers,
  writers: stored.writers,
  filterable: stored.filterable,
  createTime: stored.createTime,
  updateTime: stored.updateTime,
});

/** Whether a user sees a value of another user, or of its own. What is not defined is seen by no user. */
export const mayRead = (definition: AttributeDefinition | undefined, ownValue: boolean): boolean =>
  definition !== undefined &&
  (definition.readers.includes("USER") || (ownValue && definition.readers.includes("SELF")));

/** Whether a writer may set the value of the user it is about. */
export const mayWrite = ({ writers }: AttributeDefinition, writer: AttributeWriter): boolean =>
  writer === "SYSTEM" || writers.includes(writer);
