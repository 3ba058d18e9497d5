/** A type that is so frequent that only those get it who ask for it. */
const ASKED_FOR = "user.updated";

/** Which types of events are wanted: whole ones, and the beginnings of others up to a dot. */
export interface EventTypes {
  readonly whole: readonly string[];
  readonly beginnings: readonly string[];
}

/** The types that somebody names, each whole or as `user.*`; none: all but those that have to be asked for. */
export const eventTypesOf = (names: readonly string[]): EventTypes => ({
  whole: names.filter((name) => !name.endsWith(".*")),
  beginnings: names.filter((name) => name.endsWith(".*")).map((name) => name.slice(0, -1)),
});

/** All of them. */
export const EVERY_TYPE: EventTypes = { whole: [], beginnings: [""] };

/** Whether an event of `type` is wanted. */
export function isWanted({ whole, beginnings }: EventTypes, type: string): boolean {
  if (whole.length === 0 && beginnings.length === 0) return type !== ASKED_FOR;
  return whole.includes(type) || beginnings.some((beginning) => type.startsWith(beginning));
}

/** The same as SQL: `type` a column, `whole` and `beginnings` parameters of type `text[]`. */
export const isWantedSql = (type: string, whole: string, beginnings: string): string => `
  case when cardinality(${whole}) = 0 and cardinality(${beginnings}) = 0 then ${type} <> '${ASKED_FOR}'
    else ${type} = any(${whole}) or exists (select from unnest(${beginnings}) as b (beginning) where starts_with(${type}, beginning)) end`;
