import { WireType } from "@bufbuild/protobuf/wire";
import { MusterError } from "../errors.ts";

/** The longest varint, in bytes, of a 32-bit and of a 64-bit number. */
const LONGEST_32 = 5;
const LONGEST_64 = 10;

/** Walks over the binary form without making anything of it. Throws where the bytes are no such form. */
export class WireCursor {
  /** Where the next byte to be read stands. */
  pos = 0;
  /** The names of the fields that the message being read stands in. */
  readonly path: string[] = [];
  readonly #bytes: Uint8Array;
  #left: number;

  /** @param elements How many fields may be met at any depth, list items, map entries and unknown ones included. */
  constructor(bytes: Uint8Array, elements: number) {
    this.#bytes = bytes;
    this.#left = elements;
  }

  /** The next field's number, times eight, and its wire type. */
  tag(): number {
    this.count();
    const tag = this.uint32();
    if (tag >>> 3 === 0 || (tag & 7) > 5) throw new RangeError("a tag is not sound");
    return tag;
  }

  /** Notes one more element. MESSAGE_TOO_LARGE for one too many. */
  count(): void {
    if (--this.#left < 0) throw new MusterError("MESSAGE_TOO_LARGE");
  }

  uint32(): number {
    const first = this.#bytes[this.pos++] ?? 0x80;
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let index = 1; index < LONGEST_32; index++) {
      const byte = this.#bytes[this.pos++] ?? 0x80;
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw new RangeError("a number is too long, or the message ends within it");
  }

  /** Where the message that begins here ends, which has to be within `end`. */
  innerEnd(end: number): number {
    const length = this.uint32();
    if (this.pos + length > end) throw new RangeError("a message runs over the end of its parent");
    return this.pos + length;
  }

  /** Passes over the content of a field; `depth` is how many groups it may hold in each other. */
  skip(wireType: WireType, number: number, depth: number): void {
    switch (wireType) {
      case WireType.Varint:
        return this.#skipVarint();
      case WireType.Bit64:
        this.pos += 8;
        return;
      case WireType.Bit32:
        this.pos += 4;
        return;
      case WireType.LengthDelimited:
        this.pos = this.uint32() + this.pos;
        return;
      case WireType.StartGroup:
        return this.#skipGroup(number, depth);
      default:
        throw new RangeError("a group ends that never began");
    }
  }

  #skipVarint(): void {
    for (let index = 0; index < LONGEST_64; index++) if ((this.#bytes[this.pos++] ?? 0x80) < 0x80) return;
    throw new RangeError("a number is too long, or the message ends within it");
  }

  #skipGroup(number: number, depth: number): void {
    if (depth <= 0) throw new RangeError("groups are nested too deep");
    for (;;) {
      const tag = this.tag();
      const wireType: WireType = tag & 7;
      if (wireType !== WireType.EndGroup) this.skip(wireType, tag >>> 3, depth - 1);
      else if (tag >>> 3 === number) return;
      else throw new RangeError("a group ends that never began");
      if (this.pos > this.#bytes.length) throw new RangeError("the message ends within a group");
    }
  }
}
