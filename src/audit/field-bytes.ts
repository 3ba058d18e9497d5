const NULL = Buffer.from([0]);
const HEADER_BYTES = 5;

/**
 * Fields one after the other, so that no two lists give the same bytes: a byte 0 where there is none; otherwise a byte 1, the length in 4
 * bytes (big-endian), and the text in UTF-8.
 */
export const fieldBytes = (fields: readonly (string | null)[]): Buffer =>
  Buffer.concat(
    fields.flatMap((field) => {
      if (field === null) return [NULL];
      const text = Buffer.from(field);
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt8(1);
      header.writeUInt32BE(text.length, 1);
      return [header, text];
    }),
  );
