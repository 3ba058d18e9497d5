import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Messages in messages, as the decoder counts them. */
const MAX_DEPTH = 100;

/** Throws unless the bytes are a well-formed message of the given type. */
export type WireCheck = (desc: DescMessage, bytes: Uint8Array) => void;

type Fields = (desc: DescMessage) => ReadonlyMap<number, DescField>;

/**
 * Looks over the binary form before it is decoded. The decoder believes the schema: it reads a field of the wrong wire type
 * as if it were the right one, and lets a nested message run over the end of its parent.
 */
export function createWireCheck(): WireCheck {
  const fieldsOf = new Map<DescMessage, ReadonlyMap<number, DescField>>();
  const fields: Fields = (desc) => {
    let found = fieldsOf.get(desc);
    if (!found) {
      found = new Map(desc.fields.map((field) => [field.number, field]));
      fieldsOf.set(desc, found);
    }
    return found;
  };
  return (desc, bytes) => checkMessage(new BinaryReader(bytes), bytes.length, desc, 1, fields);
}

function checkMessage(reader: BinaryReader, end: number, desc: DescMessage, depth: number, fields: Fields): void {
  if (depth > MAX_DEPTH) throw new RangeError(`messages are nested more than ${MAX_DEPTH} deep`);
  const known = fields(desc);
  let met: DescField[] | undefined;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = known.get(number);
    if (!field) reader.skip(wireType, number, MAX_DEPTH - depth);
    else {
      if (field.fieldKind === "message") met = withNew(field, met);
      checkField(reader, end, field, wireType, depth, fields);
    }
    if (reader.pos > end) throw new RangeError("a field runs over the end of its message");
  }
}

function checkField(
  reader: BinaryReader,
  end: number,
  field: DescField,
  wireType: WireType,
  depth: number,
  fields: Fields,
) {
  if (!wireTypesOf(field).includes(wireType)) throw new TypeError(`field ${field.name} has the wrong wire type`);
  if (field.fieldKind === "map") checkEntry(reader, innerEnd(reader, end), field, depth, fields);
  else if (field.message && wireType === WireType.LengthDelimited)
    checkMessage(reader, innerEnd(reader, end), field.message, depth + 1, fields);
  else if (field.fieldKind === "list" && wireTypeOf(field.scalar ?? "enum") !== wireType)
    checkPacked(reader, end, field);
  else reader.skip(wireType, field.number, MAX_DEPTH - depth);
}

/** Numbers that stand together in one field. */
function checkPacked(reader: BinaryReader, end: number, field: DescField): void {
  const stop = innerEnd(reader, end);
  while (reader.pos < stop) reader.skip(wireTypeOf(field.scalar ?? "enum"), field.number);
  if (reader.pos > stop) throw new RangeError("a number runs over the end of its field");
}

type MapField = DescField & { fieldKind: "map" };

function checkEntry(reader: BinaryReader, end: number, field: MapField, depth: number, fields: Fields): void {
  let values = 0;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 2 && ++values > 1) throw new RangeError(`an entry of ${field.name} has more than one value`);
    const kinds = [wireType, wireTypeOf(field.mapKey), wireTypeOf(field.scalar ?? field.mapKind)];
    if ((kinds[number] ?? wireType) !== wireType)
      throw new TypeError(`an entry of ${field.name} has the wrong wire type`);
    if (number === 2 && field.message) checkMessage(reader, innerEnd(reader, end), field.message, depth + 1, fields);
    else reader.skip(wireType, number, MAX_DEPTH - depth);
  }
  if (reader.pos > end) throw new RangeError("a field runs over the end of its message");
}

/** Where the message that begins here ends. */
function innerEnd(reader: BinaryReader, end: number): number {
  const length = reader.uint32();
  if (reader.pos + length > end) throw new RangeError("a message runs over the end of its parent");
  return reader.pos + length;
}

/**
 * A field of one message may come twice on the wire, and is then merged. No encoder does so, and the decoder turns a Struct
 * into JSON and back each time: a body of many parts would cost the square of its size.
 */
function withNew(field: DescField, met: DescField[] = []): DescField[] {
  if (met.includes(field)) throw new RangeError(`field ${field.name} comes more than once`);
  met.push(field);
  return met;
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
