import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { run } from "./support/run.ts";
import { startServerProcess } from "./support/server.ts";

/** A Node that is not the project's: what a service may run on. */
const NODE = process.env["MUSTER_TEST_NODE"] ?? process.execPath;
const root = join(import.meta.dirname, "../..");
const TSC = join(root, "node_modules/.bin/tsc");

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());
const server = resources.use(await startServerProcess());
const folder = await mkdtemp(join(tmpdir(), "muster-package-"));
resources.defer(() => rm(folder, { recursive: true, force: true }));

/** Runs a program that has to succeed; gives what it printed. */
async function succeed(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, 120_000);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

const packed = await succeed("npm", "pack", "--silent", "--prefix", root, "--pack-destination", folder, root);
const installed = join(folder, "node_modules/muster");
await succeed("mkdir", "-p", installed);
await succeed("tar", "-xzf", join(folder, packed.trim().split("\n").at(-1) ?? ""), "-C", installed, "--strip", "1");

test("the packed verifier checks tokens with nothing else installed", async () => {
  await server.call("UserService/UpsertUser", { externalId: "packed" });
  const { signedToken, token } = (await server.call("TokenService/IssueToken", { ref: { externalId: "packed" } })) as {
    signedToken: string;
    token: { id: string };
  };
  const program = join(folder, "service.mjs");
  await writeFile(
    program,
    `import { createVerifier } from "muster/verifier";
    const [issuer, accessKey, token, revoke] = process.argv.slice(2);
    const verifier = createVerifier({ issuer, accessKey });
    await verifier.ready;
    console.log((await verifier.verify(token)).externalId);
    const headers = { "content-type": "application/json", authorization: \`Bearer \${accessKey}\` };
    await fetch(revoke, { method: "POST", headers, body: JSON.stringify({ tokenId: ${JSON.stringify(token.id)} }) });
    for (let passes = true; passes; await new Promise((turn) => setTimeout(turn, 10)))
      passes = await verifier.verify(token).then(() => true, ({ reason }) => console.log(reason));
    await verifier[Symbol.asyncDispose]();
    `,
  );
  const issuer = `${server.url}/projects/${server.projectId}`;
  const revoke = `${server.url}/muster.v1.TokenService/RevokeToken`;
  expect(await succeed(NODE, program, issuer, server.accessKey, signedToken, revoke)).toBe("packed\nTOKEN_REVOKED\n");
});

test("the packed session is declared for TypeScript and bundled for pages", async () => {
  const app = join(folder, "app.ts");
  await writeFile(
    app,
    `import { createSession, type Session } from "muster/client";
    import { createVerifier, TokenRefused, type Verifier } from "muster/verifier";
    export const make = (transport: Parameters<typeof createSession>[0]["transport"]): Session =>
      createSession({ transport, projectId: "p", sessionExpired: (handle) => handle() });
    export const verifier = (): Verifier => createVerifier({ issuer: "https://a.test/projects/p", accessKey: "" });
    export const why = (error: TokenRefused): string => error.reason;
    // @ts-expect-error: an option that there is not
    createVerifier({ issuer: "", accessKey: "", whenStale: "shrug" });
    `,
  );
  const options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "nodenext", "--target", "esnext"];
  // The packages that its declarations name are those it depends on.
  await succeed("ln", "-s", join(root, "node_modules/@connectrpc"), join(folder, "node_modules/@connectrpc"));
  await succeed("ln", "-s", join(root, "node_modules/@bufbuild"), join(folder, "node_modules/@bufbuild"));
  await succeed(TSC, "--ignoreConfig", ...options, "--types", "", app);
  const bundle = await readFile(join(installed, "dist/client.js"), "utf8");
  expect(bundle).not.toMatch(/^import .* from ["'](?!\.)/m);
  expect(bundle).not.toContain("node:");
});

test("of the server the package declares nothing but what its two parts share with it", async () => {
  const files = (await succeed("find", join(installed, "dist/types"), "-name", "*.d.ts", "-printf", "%P\n")).split(
    "\n",
  );
  const folders = new Set(files.filter((file) => file.includes("/")).map((file) => file.slice(0, file.indexOf("/"))));
  expect([...folders].toSorted()).toEqual(["client", "gen", "tokens"]);
});
