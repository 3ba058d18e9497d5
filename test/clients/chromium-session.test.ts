import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { servePage, startBrowser } from "./support/browser.ts";
import { startServerProcess } from "./support/server.ts";

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());
const server = resources.use(await startServerProcess());
const site = resources.use(await servePage(join(import.meta.dirname, "support/session-page.ts")));
const browser = resources.use(await startBrowser());
await server.call("ProjectService/UpdateProject", { settings: { corsOrigins: [site.origin] } });

/** Opens the app in a new tab. */
async function openTab(): Promise<Page> {
  const page = await browser.newPage();
  await load(page);
  return page;
}

async function load(page: Page): Promise<void> {
  await page.goto(site.origin);
  await page.evaluate(
    `globalThis.app = startApp(${JSON.stringify(server.url)}, ${JSON.stringify(server.projectId)}); 0`,
  );
}

test("a page signs in by cookies, finds its session after a reload and in another tab, and signs out of all", async () => {
  const page = await openTab();
  expect(await page.evaluate("app.restore()")).toBe(false);
  // No script sees what the browser keeps.
  expect(await page.evaluate("app.signIn()")).toEqual({ sessionToken: "", refreshToken: "", cookies: "" });
  const userId = await page.evaluate("app.whoAmI()");
  expect(userId).toMatch(/^[0-9a-f-]{36}$/);

  await load(page);
  expect(await page.evaluate("app.signedIn()")).toBe(false);
  expect(await page.evaluate("app.restore()")).toBe(true);
  expect(await page.evaluate("app.whoAmI()")).toBe(userId);

  const other = await openTab();
  expect(await other.evaluate("app.restore()")).toBe(true);
  expect(await other.evaluate("app.whoAmI()")).toBe(userId);

  await other.evaluate("app.signOut()");
  await expect.poll(() => page.evaluate("app.signedIn()")).toBe(false);
  await load(page);
  expect(await page.evaluate("app.restore()")).toBe(false);
  const { sessions } = await server.call("SessionService/ListSessions", { ref: { id: userId } });
  expect(sessions).toBeUndefined();
});
