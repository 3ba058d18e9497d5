import { afterAll, expect, test } from "vitest";
import { startBrowser } from "./support/browser.ts";
import { startServerProcess } from "./support/server.ts";

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());
const server = resources.use(await startServerProcess());
const browser = resources.use(await startBrowser());
await server.call("UserService/UpsertUser", { externalId: "alice" });

interface Issued {
  readonly signedToken: string;
  readonly logoutUrl: string;
}

const issue = async () =>
  (await server.call("TokenService/IssueToken", { ref: { externalId: "alice" } })) as unknown as Issued;
const isActive = async ({ signedToken }: Issued) =>
  (await server.call("TokenService/VerifyToken", { token: signedToken }))["active"] === true;

test("in Chromium the link opens a page, and its button signs out", async () => {
  const issued = await issue();
  const page = await browser.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  await page.goto(issued.logoutUrl);
  expect(await page.title()).toBe("Sign out?");
  expect(await page.evaluate("getComputedStyle(document.querySelector('button')).paddingLeft")).toBe("24px");
  expect(await isActive(issued)).toBe(true);
  await page.locator("button").click();
  await page.waitForURL(`${server.url}/logout`);
  expect(await page.title()).toBe("You are signed out");
  expect(await isActive(issued)).toBe(false);
  await page.goto(issued.logoutUrl);
  await page.locator("button").click();
  await page.waitForURL(`${server.url}/logout`);
  expect(await page.title()).toBe("You were signed out already");
  // The policy of the pages forbids nothing that they hold.
  expect(said.filter((text) => /content security policy/i.test(text))).toEqual([]);
  await page.close();
});

test("in Chromium one click does where the project says so, from a page of another site too; a prefetch does not", async () => {
  await server.call("ProjectService/UpdateProject", { settings: { oneClickLogout: true } });
  const [clicked, prefetched] = [await issue(), await issue()];
  const page = await browser.newPage();
  await page.route("http://mail.example/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<link rel="prefetch" href="${prefetched.logoutUrl}"><img src="${prefetched.logoutUrl}"><a href="${clicked.logoutUrl}">Sign out</a>`,
    }),
  );
  await page.goto("http://mail.example/", { waitUntil: "load" });
  await page.locator("a").click();
  await page.waitForURL(clicked.logoutUrl);
  expect(await page.title()).toBe("You are signed out");
  expect(await isActive(clicked)).toBe(false);
  expect(await isActive(prefetched)).toBe(true);
  await page.close();
});
