import { type DescField, type DescMessage, type Message, ScalarType, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Room in front of what is written, for the head of an envelope. */
export const ENVELOPE_HEAD = 5;

/** Writes a message behind room for the head of an envelope; undefined: it is for the library to write, or to refuse. Throws where the library would. */
export type WriteMessage = (message: Message) => Uint8Array | undefined;

/**
 * Makes writers of messages that are said by many streams, or that hold such ones. The bytes of what is shared are kept as long as the message is there,
 * and put into what is around it. They are those of that object: a copy, of which something was taken away, has its own. What has been
 * written may not change, and is frozen.
 *
 * @param shared The types of the messages that may be said by many streams.
 */
export function createKeptBytes(shared: ReadonlySet<DescMessage>): (schema: DescMessage) => WriteMessage | undefined {
  const plans = new Plans(shared);
  return (schema) => {
    if (shared.has(schema)) return (message) => plans.whole(schema, message);
    const plan = plans.of(schema, []);
    return (
      plan &&
      ((message) => {
        const pieces: Uint8Array[] = [];
        const length = plan(message, pieces);
        return length === undefined ? undefined : join(pieces, length, ENVELOPE_HEAD);
      })
    );
  };
}

/** Adds the pieces that a message, or a field of one, is written as. Gives their length; undefined: it is for the library. */
type Write<M> = (message: M, pieces: Uint8Array[]) => number | undefined;
type Fields = Readonly<Record<string, unknown>>;

class Plans {
  readonly #shared: ReadonlySet<DescMessage>;
  /** Bytes of messages as they stand in a field, with its tag and their length; or, in no field, behind room. */
  readonly #kept = new WeakMap<Message, { readonly field: DescField | undefined; readonly bytes: Uint8Array }>();

  constructor(shared: ReadonlySet<DescMessage>) {
    this.#shared = shared;
  }

  /** How a type is written that holds shared ones; undefined for others, and for those that hold what only the library writes. */
  of(schema: DescMessage, above: readonly DescMessage[]): Write<Message> | undefined {
    if (!this.#holds(schema, above)) return undefined;
    const fields = schema.fields.toSorted((one, other) => one.number - other.number);
    const writes = fields.flatMap((field) => this.#field(field, [...above, schema]) ?? []);
    if (writes.length < fields.length) return undefined;
    return (message, pieces) => {
      if (message.$typeName !== schema.typeName || message.$unknown?.length) return undefined;
      let length = 0;
      for (const write of writes) {
        const more = write(message as unknown as Fields, pieces);
        if (more === undefined) return undefined;
        length += more;
      }
      return length;
    };
  }

  /** A message that is shared as a whole. */
  whole(schema: DescMessage, message: Message): Uint8Array {
    const known = this.#kept.get(message);
    if (known && !known.field) return known.bytes;
    const content = toBinary(schema, message);
    const bytes = join([content], content.length, ENVELOPE_HEAD);
    this.#kept.set(Object.freeze(message), { field: undefined, bytes });
    return bytes;
  }

  /** A type inside itself is for the library. */
  #holds(schema: DescMessage, above: readonly DescMessage[]): boolean {
    if (this.#shared.has(schema)) return true;
    if (above.includes(schema)) return false;
    return schema.fields.some(({ message }) => message && this.#holds(message, [...above, schema]));
  }

  #field(field: DescField, above: readonly DescMessage[]): Write<Fields> | undefined {
    const { localName, oneof } = field;
    if (field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES && !oneof) return bytesIn(field);
    if (!field.message || field.fieldKind === "map") return undefined;
    const write = this.#message(field, field.message, above);
    if (!write) return undefined;
    if (oneof)
      return (fields, pieces) => {
        const chosen = fields[oneof.localName] as { readonly case?: string; readonly value?: Message };
        return chosen.case === localName && chosen.value ? write(chosen.value, pieces) : 0;
      };
    if (field.fieldKind === "list")
      return (fields, pieces) => {
        let length = 0;
        for (const item of fields[localName] as readonly Message[]) {
          const more = write(item, pieces);
          if (more === undefined) return undefined;
          length += more;
        }
        return length;
      };
    return (fields, pieces) => {
      const value = fields[localName] as Message | undefined;
      return value === undefined ? 0 : write(value, pieces);
    };
  }

  /** One message in a field: kept, put together, or as the library writes it. */
  #message(field: DescField, schema: DescMessage, above: readonly DescMessage[]): Write<Message> | undefined {
    const headOf = createHeads(field);
    if (this.#shared.has(schema))
      return (message, pieces) => {
        let known = this.#kept.get(message);
        if (known?.field !== field) {
          known = { field, bytes: inField(headOf, toBinary(schema, message)) };
          this.#kept.set(Object.freeze(message), known);
        }
        pieces.push(known.bytes);
        return known.bytes.length;
      };
    const write = this.of(schema, above);
    if (write)
      return (message, pieces) => {
        const at = pieces.push(NOTHING) - 1;
        const length = write(message, pieces);
        if (length === undefined) return undefined;
        const head = headOf(length);
        pieces[at] = head;
        return head.length + length;
      };
    if (this.#holds(schema, above)) return undefined;
    return (message, pieces) => pieces[pieces.push(inField(headOf, toBinary(schema, message))) - 1]?.length;
  }
}

function bytesIn(field: DescField): Write<Fields> {
  const headOf = createHeads(field);
  return (fields, pieces) => {
    const value = fields[field.localName];
    if (!(value instanceof Uint8Array)) return undefined;
    if (value.length === 0) return 0;
    const head = headOf(value.length);
    pieces.push(head, value);
    return head.length + value.length;
  };
}

const NOTHING = new Uint8Array();
/** Heads up to this length are kept. */
const MOST_HEADS = 2_048;

/** The tag of a field and a length. */
type HeadOf = (length: number) => Uint8Array;

function createHeads({ number }: DescField): HeadOf {
  const heads: Uint8Array[] = [];
  const make: HeadOf = (length) => new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
  return (length) => (length < MOST_HEADS ? (heads[length] ??= make(length)) : make(length));
}

function inField(headOf: HeadOf, content: Uint8Array): Uint8Array {
  const head = headOf(content.length);
  return join([head, content], head.length + content.length, 0);
}

function join(pieces: readonly Uint8Array[], length: number, room: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(room + length);
  let at = room;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
