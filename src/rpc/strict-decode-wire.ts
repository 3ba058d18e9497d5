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

/**
 * Looks over the binary form before it is decoded. The decoder believes the schema: it reads a field of the wrong wire type
 * as if it were the right one, and lets a nested message run over the end of its parent.
 */
export function createWireCheck(): WireCheck {
  const fieldsOf = new Map<DescMessage, ReadonlyMap<number, DescField>>();
  const fields = (desc: DescMessage) => {
    let found = fieldsOf.get(desc);
    if (!found) fieldsOf.set(desc, (found = new Map(desc.fields.map((field) => [field.number, field]))));
    return found;
  };

  function checkMessage(reader: BinaryReader, end: number, desc: DescMessage, depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError(`messages are nested more than ${MAX_DEPTH} deep`);
    const known = fields(desc);
    let structs = 0;
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      const field = known.get(number);
      if (
        field?.message?.typeName === "google.protobuf.Struct" &&
        field.fieldKind === "message" &&
        ++structs > STRUCT_REPEATS
      )
        throw new RangeError(`field ${field.name} comes too often`);
      checkField(reader, end, field, number, wireType, depth);
      if (reader.pos > end) throw new RangeError("a field runs over the end of its message");
    }
  }

  function checkField(
    reader: BinaryReader,
    end: number,
    field: DescField | undefined,
    number: number,
    wireType: WireType,
    depth: number,
  ) {
    if (!field) return void reader.skip(wireType, number, MAX_DEPTH - depth);
    if (!wireTypesOf(field).includes(wireType)) throw new TypeError(`field ${field.name} has the wrong wire type`);
    const inner = field.fieldKind === "map" ? undefined : field.message;
    if (wireType !== WireType.LengthDelimited || (!inner && field.fieldKind !== "map"))
      return void reader.skip(wireType, number);
    const length = reader.uint32();
    const innerEnd = reader.pos + length;
    if (innerEnd > end) throw new RangeError("a message runs over the end of its parent");
    if (inner) checkMessage(reader, innerEnd, inner, depth + 1);
    else if (field.fieldKind === "map") checkEntry(reader, innerEnd, field, depth);
  }

  function checkEntry(reader: BinaryReader, end: number, field: DescField & { fieldKind: "map" }, depth: number): void {
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      const expected =
        number === 1 ? wireTypeOf(field.mapKey) : number === 2 ? wireTypeOf(field.scalar ?? field.mapKind) : wireType;
      if (wireType !== expected) throw new TypeError(`an entry of ${field.name} has the wrong wire type`);
      if (number === 2 && field.message) {
        const length = reader.uint32();
        if (reader.pos + length > end) throw new RangeError("a message runs over the end of its parent");
        checkMessage(reader, reader.pos + length, field.message, depth + 1);
      } else reader.skip(wireType, number, MAX_DEPTH - depth);
    }
    if (reader.pos > end) throw new RangeError("a field runs over the end of its message");
  }

  return (desc, bytes) => checkMessage(new BinaryReader(bytes), bytes.length, desc, 1);
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
