import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { servePage, startBrowser } from "./support/browser.ts";
import { startServerProcess } from "./support/server.ts";

const ENTRY = join(import.meta.dirname, "support/watch-page.ts");

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());
const server = resources.use(await startServerProcess());
const listed = resources.use(await servePage(ENTRY));
const unlisted = resources.use(await servePage(ENTRY));
const browser = resources.use(await startBrowser());
await server.call("ProjectService/UpdateProject", { settings: { corsOrigins: [listed.origin] } });

/** What stands in the page as `watcher` once `watch` has run. */
const STATUSES = "watcher.statuses.join()";
const ENDED = "watcher.ended";
const PATIENCE = { timeout: 10_000, interval: 20 };

/** Opens a page of that origin and has it watch its own user; gives the page and the user. */
async function watch(origin: string, protocol: "connect" | "grpc-web") {
  const externalId = `user-${protocol}-${new URL(origin).port}`;
  await server.call("UserService/UpsertUser", { externalId });
  const { signedToken } = await server.call("TokenService/IssueToken", { ref: { externalId } });
  const page = await browser.newPage();
  await page.goto(origin);
  const args = [protocol, server.url, signedToken].map((it) => JSON.stringify(it)).join();
  await page.evaluate(`globalThis.watcher = watchPresence(${args}); undefined`);
  const become = (status: string) =>
    server.call("PresenceService/SetPresence", { ref: { externalId }, presence: { status } });
  return { page, become };
}

describe.each(["connect", "grpc-web"] as const)("by %s, a page", (protocol) => {
  test("of a listed origin sees its user's presence change while it watches", async () => {
    const { page, become } = await watch(listed.origin, protocol);
    await expect.poll(() => page.evaluate(STATUSES), PATIENCE).toBe("offline");
    await become("online");
    await expect.poll(() => page.evaluate(STATUSES), PATIENCE).toBe("offline,online");
    await become("away");
    await expect.poll(() => page.evaluate(STATUSES), PATIENCE).toBe("offline,online,away");
    await page.evaluate("watcher.stop()");
    await expect.poll(() => page.evaluate(ENDED), PATIENCE).toBe("Canceled");
    await page.close();
  });

  test("of an origin that is not listed is told nothing", async () => {
    const { page, become } = await watch(unlisted.origin, protocol);
    await expect.poll(() => page.evaluate(ENDED), PATIENCE).toBeTypeOf("string");
    await become("online");
    expect(await page.evaluate(STATUSES)).toBe("");
    // The browser keeps the answer from the page, so all it knows is that there was none.
    expect(await page.evaluate(ENDED)).toMatch(/^(Unknown|Unavailable|Internal|PermissionDenied)$/);
    await page.close();
  });
});
