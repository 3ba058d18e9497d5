import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { invalid } from "../errors.ts";
import { WireCursor } from "./strict-decode-cursor.ts";

/** Messages in messages, as the decoder counts them. */
const MAX_DEPTH = 100;
/** No list of the contract may be longer; the rules declared in the proto are stricter. */
const MAX_ITEMS = 10_000;
/** No map or Struct may have more; the limits of a Struct are stricter. */
const MAX_ENTRIES = 1_000;

/**
 * Throws unless the bytes are a well-formed message of the given type: MESSAGE_TOO_LARGE if it has more than `maxElements`
 * fields at any depth, REQUEST_INVALID for a list without measure.
 */
export type WireCheck = (desc: DescMessage, bytes: Uint8Array, maxElements: number) => void;

/** What the check asks of a field, worked out once. */
interface FieldPlan {
  readonly field: DescField;
  /** Bit n stands for wire type n. */
  readonly wireTypes: number;
  /** The wire type of each of many numbers that stand together. */
  readonly packed: WireType | undefined;
  /** How often it may come in one message. */
  readonly most: number;
  /** Where the times it came are counted. */
  readonly index: number;
}

type Plans = (desc: DescMessage) => ReadonlyMap<number, FieldPlan>;

/**
 * Looks over the binary form before it is decoded. The decoder believes the schema: it reads a field of the wrong wire type
 * as if it were the right one, and lets a nested message run over the end of its parent.
 */
export function createWireCheck(): WireCheck {
  const known = new Map<DescMessage, ReadonlyMap<number, FieldPlan>>();
  const plans: Plans = (desc) => {
    let found = known.get(desc);
    if (!found) {
      found = new Map(desc.fields.map((field, index) => [field.number, planOf(field, index)]));
      known.set(desc, found);
    }
    return found;
  };
  return (desc, bytes, maxElements) =>
    checkMessage(new WireCursor(bytes, maxElements), bytes.length, desc, MAX_DEPTH, plans);
}

function checkMessage(cursor: WireCursor, end: number, desc: DescMessage, depth: number, plans: Plans): void {
  if (depth === 0) throw new RangeError(`messages are nested more than ${MAX_DEPTH} deep`);
  const known = plans(desc);
  let met: number[] | undefined;
  while (cursor.pos < end) {
    const tag = cursor.tag();
    const plan = known.get(tag >>> 3);
    if (!plan) cursor.skip(tag & 7, tag >>> 3, depth);
    else {
      if (plan.most !== Number.POSITIVE_INFINITY) met = withNew(cursor, plan, met);
      checkField(cursor, end, plan, tag & 7, depth, plans);
    }
    if (cursor.pos > end) throw new RangeError("a field runs over the end of its message");
  }
}

function checkField(
  cursor: WireCursor,
  end: number,
  { field, wireTypes, packed }: FieldPlan,
  wireType: WireType,
  depth: number,
  plans: Plans,
): void {
  if ((wireTypes & (1 << wireType)) === 0) throw new TypeError(`field ${field.name} has the wrong wire type`);
  if (field.fieldKind === "map") checkEntry(cursor, cursor.innerEnd(end), field, depth, plans);
  else if (field.message && wireType === WireType.LengthDelimited) {
    cursor.path.push(field.name);
    checkMessage(cursor, cursor.innerEnd(end), field.message, depth - 1, plans);
    cursor.path.pop();
  } else if (packed !== undefined && packed !== wireType) checkPacked(cursor, cursor.innerEnd(end), packed);
  else cursor.skip(wireType, field.number, depth);
}

/** Numbers that stand together in one field. */
function checkPacked(cursor: WireCursor, end: number, wireType: WireType): void {
  while (cursor.pos < end) {
    cursor.count();
    cursor.skip(wireType, 0, 0);
  }
  if (cursor.pos > end) throw new RangeError("a number runs over the end of its field");
}

type MapField = DescField & { fieldKind: "map" };

function checkEntry(cursor: WireCursor, end: number, field: MapField, depth: number, plans: Plans): void {
  let values = 0;
  while (cursor.pos < end) {
    const tag = cursor.tag();
    const number = tag >>> 3;
    const wireType: WireType = tag & 7;
    if (number === 2 && ++values > 1) throw new RangeError(`an entry of ${field.name} has more than one value`);
    const wanted =
      number === 1 ? wireTypeOf(field.mapKey) : number === 2 ? wireTypeOf(field.scalar ?? field.mapKind) : wireType;
    if (wanted !== wireType) throw new TypeError(`an entry of ${field.name} has the wrong wire type`);
    if (number === 2 && field.message) checkMessage(cursor, cursor.innerEnd(end), field.message, depth - 1, plans);
    else cursor.skip(wireType, number, depth);
  }
  if (cursor.pos > end) throw new RangeError("a field runs over the end of its message");
}

/**
 * A field of one message may come twice on the wire, and is then merged. No encoder does so, and the decoder turns a Struct
 * into JSON and back each time: a body of many parts would cost the square of its size. Long lists and maps cost more to
 * decode and to check than their bytes tell.
 */
function withNew({ path }: WireCursor, { field, most, index }: FieldPlan, met: number[] = []): number[] {
  const count = (met[index] ?? 0) + 1;
  if (count > most) {
    if (most === 1) throw new RangeError(`field ${field.name} comes more than once`);
    // The entries of a Struct are the content of the field that it stands in.
    const names = field.fieldKind === "map" ? path : [...path, field.name];
    throw invalid(names.join("."), `must contain no more than ${most} items`);
  }
  met[index] = count;
  return met;
}

function planOf(field: DescField, index: number): FieldPlan {
  const numbers = field.fieldKind === "list" && field.listKind !== "message";
  const item = wireTypeOf(field.fieldKind === "list" ? (field.scalar ?? "enum") : "message");
  return {
    field,
    wireTypes: wireTypesOf(field).reduce((bits, wireType) => bits | (1 << wireType), 0),
    packed: numbers && item !== WireType.LengthDelimited ? item : undefined,
    most: mostOf(field),
    index,
  };
}

function mostOf(field: DescField): number {
  if (field.fieldKind === "message") return 1;
  if (field.fieldKind === "map") return MAX_ENTRIES;
  // What stands in a Struct is limited by its length.
  if (field.fieldKind === "list" && field.parent.typeName !== "google.protobuf.ListValue") return MAX_ITEMS;
  return Number.POSITIVE_INFINITY;
}

function wireTypesOf(field: DescField): readonly WireType[] {
  if (field.fieldKind === "map" || (field.fieldKind === "list" && field.listKind === "message"))
    return [WireType.LengthDelimited];
  if (field.fieldKind === "message") return [field.delimitedEncoding ? WireType.StartGroup : WireType.LengthDelimited];
  const single = wireTypeOf(field.scalar ?? "enum");
  return field.fieldKind === "list" ? [single, WireType.LengthDelimited] : [single];
}

function wireTypeOf(kind: ScalarType | "enum" | "message" | "scalar"): WireType {
  switch (kind) {
    case "message":
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}
