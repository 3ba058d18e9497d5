import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * How often one Struct field may come in one message. The decoder turns the whole Struct into JSON and back each time, so a
 * body of many would cost the square of its size.
 */
const STRUCT_REPEATS = 8;

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
  let structs = 0;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = known.get(number);
    if (!field) reader.skip(wireType, number, MAX_DEPTH - depth);
    else {
      if (isStruct(field) && ++structs > STRUCT_REPEATS) throw new RangeError(`field ${field.name} comes too often`);
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
  else reader.skip(wireType, field.number, MAX_DEPTH - depth);
}

type MapField = DescField & { fieldKind: "map" };

function checkEntry(reader: BinaryReader, end: number, field: MapField, depth: number, fields: Fields): void {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
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

const isStruct = (field: DescField): boolean =>
  field.fieldKind === "message" && field.message.typeName === "google.protobuf.Struct";

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
