import type { EntitySchema } from "@mikro-orm/core";

/** Every entity of every feature: what MikroORM is opened with. */
export const ENTITIES: EntitySchema[] = [];
