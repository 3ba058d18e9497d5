const HEADER_BYTES = 5;

/**
 * Fields one after the other, so that no two lists give the same bytes: a byte 0 where there is none; otherwise a byte 1, the length in 4
 * bytes (big-endian), and the text in UTF-8.
 */
export function fieldBytes(fields: readonly (string | null)[]): Buffer {
  const bytes = Buffer.allocUnsafe(fields.reduce((size, field) => size + sizeOf(field), 0));
  let at = 0;
  for (const field of fields) {
    bytes[at] = field === null ? 0 : 1;
    const length = field === null ? undefined : bytes.write(field, at + HEADER_BYTES);
    if (length !== undefined) bytes.writeUInt32BE(length, at + 1);
    at += length === undefined ? 1 : HEADER_BYTES + length;
  }
  return bytes;
}

const sizeOf = (field: string | null): number => (field === null ? 1 : HEADER_BYTES + Buffer.byteLength(field));
