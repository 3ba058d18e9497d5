import type { Pool } from "pg";
import type { Bench } from "./bench.ts";
import type { SubjectOptions } from "./subject-process.ts";
import type { Tenant } from "./tenant.ts";

/** What a figure is held against. */
export type Target =
  /** The subject's figure over the floor's. */
  | { readonly ratioAtMost: number }
  | { readonly ratioAtLeast: number }
  /** The subject's figure by itself, in the figure's unit. */
  | { readonly atMost: number }
  | { readonly atLeast: number };

/** One line of the result. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly subject: number;
  readonly floor?: number;
  readonly target?: Target;
  /** What was seen beside it, for people. */
  readonly beside?: string;
}

/** How a call travels. */
export type Protocol = "grpc" | "connect-json-h2" | "connect-json-h1";

/** Whom a call goes to: callers that must not meet in the database use other names for each. */
export type Side = "subject" | "floor";

/** A call as the load process makes it. */
export interface Call {
  readonly protocol: Protocol;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The encoded message of the `n`th call, from 0. */
  body(n: number): Uint8Array;
  /** The answer in plain JSON, without what differs from one call to the next. Throws if it is not the wanted one. */
  read(answer: Uint8Array): unknown;
}

/** What a floor does with a message: gives the encoded answer. */
export type FloorHandler = (message: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** What floors work with. */
export interface FloorTools {
  /** Of the subject's database. */
  readonly pool: Pool;
}

/** One kind of call beside its floor, by the server's CPU for each. `World` is what `setUp` made: it is sent between processes. */
export interface CallCase<World> {
  readonly name: string;
  /** Calls under way at a time. */
  readonly concurrency: readonly number[];
  call(world: World, side: Side): Call;
  /** Serves the call in the floor's process. Left out: `call` for the side of the floor goes to the subject as well. */
  floor?(world: World, tools: FloorTools): FloorHandler;
  /** For the CPU of a call; left out: it is only told. */
  readonly target?: Target;
  /** For the median of latency. */
  readonly medianTarget?: Target;
  /** For the 99th percentile of latency at concurrency 32. */
  readonly latencyTarget?: Target;
  /** For the calls in a second. */
  readonly throughputTarget?: Target;
}

/** A row of calls. */
export interface CallRow<World = unknown> {
  readonly about: string;
  /** What the floor does. */
  readonly floor: string;
  /** What is special about the Muster that is called. */
  readonly muster?: Pick<SubjectOptions, "withoutHashing">;
  setUp(tenant: Tenant): Promise<World>;
  readonly cases: readonly CallCase<World>[];
}

/** A row that measures by itself. */
export interface OwnRow {
  readonly about: string;
  readonly floor: string;
  measure(bench: Bench): Promise<Figure[]>;
}

export type Row = CallRow | OwnRow;

/** The row that a file of `rows/` declares. */
export async function loadRow(url: string): Promise<Row> {
  return ((await import(url)) as { row: Row }).row;
}
