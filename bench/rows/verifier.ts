import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { LocalVerifier } from "../../src/client/verifier.ts";
import { createAccessTokens } from "../harness/access-token.ts";
import { median } from "../harness/median.ts";
import type { OwnRow } from "../harness/row.ts";

/** So many tokens are new in a round. */
const COLD = 2_000;
/** So many are known, and so often one of them comes again. */
const WARM = 1_000;
const WARM_CALLS = 300_000;

/** A verifier of a project whose keys are served here and of which nothing is ever revoked. */
async function startVerifier(issuer: string, projectId: string, jwks: object) {
  const server = createServer((_, answer) => answer.end(JSON.stringify(jwks)));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const source = {
    maxSilenceMs: 3_600_000,
    async *open(_: Uint8Array, signal: AbortSignal) {
      yield { resumeToken: new Uint8Array([1]), complete: true };
      await new Promise((ended) => signal.addEventListener("abort", ended, { once: true }));
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  const options = { issuer, accessKey: "", maxStalenessMs: 3_600_000 };
  const verifier = new LocalVerifier(options, projectId, url, source);
  await verifier.ready;
  return verifier;
}

/** Microseconds of this process's CPU for each of `count` runs. */
async function cpuOf(count: number, run: (n: number) => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < count; n++) await run(n);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

/** Microseconds for each token: by hand, by the verifier, and by the verifier once it knows it. */
async function measureRound(
  verifier: LocalVerifier,
  check: (token: string) => object,
  tokens: readonly string[],
  known: readonly string[],
) {
  const byHand = await cpuOf(COLD, (n) => check(tokens[n] ?? ""));
  const byVerifier = await cpuOf(COLD, (n) => verifier.verify(tokens[n] ?? ""));
  for (const token of known) await verifier.verify(token);
  const again = await cpuOf(WARM_CALLS, (n) => verifier.verify(known[n % WARM] ?? ""));
  return { byHand, byVerifier, again };
}

export const row: OwnRow = {
  about: "The verifier of the TypeScript client, Ed25519 tokens",
  floor: "node:crypto verify and JSON.parse",
  async measure(bench) {
    const tenant = await bench.makeTenant(await bench.startMuster());
    const users = await tenant.makeUsers(1);
    const source = { issuer: tenant.issuer, projectId: tenant.projectId, ...(await tenant.signingKey()) };
    const tokenOf = createAccessTokens(source);
    const user = users[0];
    if (!user) throw new Error("no user was made");
    const key = createPublicKey({ key: source.jwk as JsonWebKey, format: "jwk" });
    const published = { ...key.export({ format: "jwk" }), kid: source.kid, alg: "EdDSA" };
    await using verifier = await startVerifier(source.issuer, source.projectId, { keys: [published] });
    const check = (token: string): object => {
      const end = token.lastIndexOf(".");
      if (!verify(null, Buffer.from(token.slice(0, end)), key, Buffer.from(token.slice(end + 1), "base64url")))
        throw new Error("the signature is wrong");
      return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as object;
    };
    const [cold, coldFloor, warm]: [number[], number[], number[]] = [[], [], []];
    const known = Array.from({ length: WARM }, () => tokenOf(user));
    // The first round, in which the code is still compiled, is not counted.
    for (let round = -1; round < bench.rounds; round++) {
      const tokens = Array.from({ length: COLD }, () => tokenOf(user));
      const { byHand, byVerifier, again } = await measureRound(verifier, check, tokens, known);
      if (round < 0) continue;
      coldFloor.push(byHand);
      cold.push(byVerifier);
      warm.push(1e6 / again);
    }
    return [
      {
        name: "verifier, a token it has not seen",
        unit: "µs CPU",
        subject: median(cold),
        floor: median(coldFloor),
        target: { ratioAtMost: 1.2 },
      },
      {
        name: "verifier, a token it knows",
        unit: "tokens/s of CPU",
        subject: median(warm),
        target: { atLeast: 1_000_000 },
      },
    ];
  },
};
