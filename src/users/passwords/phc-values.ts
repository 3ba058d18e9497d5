/** A decimal of a PHC string between two bounds, written without sign or leading zeros; undefined if it is not one. */
export function decimalIn(text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined || !/^(0|[1-9][0-9]{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value >= least && value <= most ? value : undefined;
}

/** The bounds of salts, in bytes: what is shorter is guessed, what is longer serves nothing. */
export const SALT_BYTES = [8, 64] as const;

/**
 * Bytes of a PHC string, so many of them: base64 without padding (RFC 4648 §4) in its one canonical spelling; undefined if they are not.
 */
export function bytesIn(text: string | undefined, [least, most]: readonly [number, number]): Buffer | undefined {
  if (text === undefined || !/^[A-Za-z0-9+/]+$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  const isCanonical = bytes.toString("base64").replace(/=+$/, "") === text;
  return isCanonical && bytes.length >= least && bytes.length <= most ? bytes : undefined;
}

/** Bytes as a PHC string has them. */
export const bytesText = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
