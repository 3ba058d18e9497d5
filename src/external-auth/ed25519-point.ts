/** The field and the curve −x² + y² = 1 + d·x²·y² (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const SIGN_BIT = 1n << 255n;

/**
 * Whether 32 bytes are a point of Ed25519 that a key can be: in its one spelling, on the curve, and not one of the eight points of small
 * order, under which anybody can make signatures that hold (RFC 8032 §5.1.3; OpenSSL takes any bytes).
 */
export function isSafeEd25519Point(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const number = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const y = number % SIGN_BIT;
  if (y >= P) return false;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  const xx = mod(u * power(v, P - 2n));
  if (xx !== 0n && power(xx, (P - 1n) / 2n) !== 1n) return false;
  return !isOfSmallOrder(xx, y);
}

/** x = 0 or y = 0 are the points of order 1, 2 and 4; those of order 8 double to y = 0: x² = −y². */
const isOfSmallOrder = (xx: bigint, y: bigint): boolean => xx === 0n || y === 0n || mod(xx + y * y) === 0n;

const mod = (value: bigint): bigint => ((value % P) + P) % P;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = mod(square * square))
    if (rest & 1n) result = mod(result * square);
  return result;
}
