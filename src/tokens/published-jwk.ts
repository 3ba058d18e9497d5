import type { SigningAlgorithm } from "../projects/projects.ts";
import { ALGORITHMS } from "./signing-algorithm.ts";

/** The public half of a signing key as it is published (RFC 7517 §4). */
export type PublishedJwk = Readonly<Record<string, string>>;

/** The public half with its name and its one use, its members in one order wherever it comes from. */
export const publishedJwk = (key: {
  id: string;
  algorithm: SigningAlgorithm;
  publicJwk: Record<string, string>;
}): PublishedJwk => ({
  ...Object.fromEntries(Object.entries(key.publicJwk).toSorted(([one], [other]) => (one < other ? -1 : 1))),
  kid: key.id,
  alg: ALGORITHMS[key.algorithm].alg,
  use: "sig",
});
