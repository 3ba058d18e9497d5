import { randomUUID } from "node:crypto";
import type { ActFacts } from "../../src/db/act.ts";

/** The facts of a call that recorded statements take, for floors that run the same statement. */
export const floorAct = (method: string): string =>
  JSON.stringify({
    method,
    actor_kind: "system",
    actor_id: "018bcfe5-6fd0-7002-8f06-7f89cc14862c",
    address: "127.0.0.1",
    request_id: randomUUID(),
  } satisfies ActFacts);

/** What the audit entry of a changed user tells of the change, for floors that run the same statement. */
export const FLOOR_DETAILS = JSON.stringify({ created: false, changed: ["name"] });
