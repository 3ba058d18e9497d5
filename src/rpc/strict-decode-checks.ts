import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import type { Violation } from "../errors.ts";
import { checkKey, checkStruct, checkText } from "./strict-decode-struct.ts";

/** Gives every rule that the values of a decoded message break, whatever the message: none, if it is sound. */
export type ValueCheck = (desc: DescMessage, message: Message, encodedBytes: number) => Violation[];

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds since the Unix epoch. */
const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;
/** 10,000 years. */
const LONGEST_SPAN = 315_576_000_000n;

/** A message's fields that can hold something unsound. */
type Plan = readonly DescField[];

/** What the checks of one message share. */
interface Walk {
  readonly violations: Violation[];
  readonly encodedBytes: number;
  readonly planOf: (desc: DescMessage) => Plan;
}

/** Each message type's fields are looked at once. */
export function createValueCheck(): ValueCheck {
  const plans = new Map<DescMessage, Plan>();
  const planOf = (desc: DescMessage): Plan => {
    let plan = plans.get(desc);
    if (!plan) {
      plan = desc.fields.filter(canBeUnsound);
      plans.set(desc, plan);
    }
    return plan;
  };
  return (desc, message, encodedBytes) => {
    const violations: Violation[] = [];
    checkMessage({ violations, encodedBytes, planOf }, desc, message, "");
    return violations;
  };
}

function checkMessage(walk: Walk, desc: DescMessage, value: unknown, path: string): void {
  const { violations, encodedBytes, planOf } = walk;
  // Struct stands as JSON, and a wrapper as what it wraps.
  if (typeof value === "string") return checkText(value, path, violations);
  if (typeof value !== "object" || value === null) return;
  if (!("$typeName" in value)) return checkStruct(value, path, encodedBytes, violations);
  if (desc.typeName === "google.protobuf.Timestamp") return checkTimestamp(value as never, path, violations);
  if (desc.typeName === "google.protobuf.Duration") return checkDuration(value as never, path, violations);
  for (const field of planOf(desc)) {
    const held = valueOf(value, field);
    if (held !== undefined) checkField(walk, field, held, path ? `${path}.${field.name}` : field.name);
  }
}

function checkField(walk: Walk, field: DescField, value: unknown, path: string): void {
  if (field.fieldKind === "list") {
    for (const [index, item] of (value as unknown[]).entries())
      if (!isSound(item)) checkOne(walk, field, item, `${path}[${index}]`);
  } else if (field.fieldKind === "map") {
    for (const [key, item] of Object.entries(value as object)) {
      checkKey(key, path, walk.violations);
      checkOne(walk, field, item, `${path}[${JSON.stringify(key)}]`);
    }
  } else checkOne(walk, field, value, path);
}

function checkOne(walk: Walk, field: DescField, value: unknown, path: string): void {
  if (field.message) checkMessage(walk, field.message, value, path);
  else if (typeof value === "string") checkText(value, path, walk.violations);
  else if (typeof value === "number" && !Number.isFinite(value))
    walk.violations.push({ field: path, description: "must be a finite number" });
}

function canBeUnsound(field: DescField): boolean {
  if (field.message || field.fieldKind === "map") return true;
  return [ScalarType.STRING, ScalarType.DOUBLE, ScalarType.FLOAT].some((kind) => kind === field.scalar);
}

/** Spares the path of each of many good values. */
const isSound = (value: unknown): boolean =>
  typeof value === "number"
    ? Number.isFinite(value)
    : typeof value === "string" && value.isWellFormed() && !value.includes("\0");

function valueOf(message: object, field: DescField): unknown {
  if (!field.oneof) return (message as Record<string, unknown>)[field.localName];
  const chosen = (message as Record<string, { case?: string; value?: unknown }>)[field.oneof.localName];
  return chosen?.case === field.localName ? chosen.value : undefined;
}

interface Seconds {
  readonly seconds: bigint;
  readonly nanos: number;
}

function checkTimestamp({ seconds, nanos }: Seconds, field: string, violations: Violation[]): void {
  if (seconds < FIRST_SECOND || seconds > LAST_SECOND || nanos < 0 || nanos > 999_999_999)
    violations.push({ field, description: "must be a time of the years 1 to 9999" });
}

function checkDuration({ seconds, nanos }: Seconds, field: string, violations: Violation[]): void {
  const tooLong = seconds < -LONGEST_SPAN || seconds > LONGEST_SPAN || Math.abs(nanos) > 999_999_999;
  const signsDiffer = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  if (tooLong || signsDiffer) violations.push({ field, description: "must be a span of at most 10,000 years" });
}
