/**
 * 48 bits of a text, the same on every server: what stands for a user or a state in a resume token. Two of a list of 10,000 are taken for
 * one another once in millions of lists. Not against an adversary: what it is used for, a caller does to itself.
 */
export function hash48(text: string): number {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x9e3779b1);
    low = Math.imul(low ^ code, 0x5f356495);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return ((high & 0xffff) >>> 0) * 2 ** 32 + (low >>> 0);
}
