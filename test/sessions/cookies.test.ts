import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { RefreshOutcome, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { ME } from "./sessions-fixture.ts";

const PAGE = "https://app.example";
const app = await startApp();
const own = await app.project({ corsOrigins: [PAGE] });
const credential = { case: "guest", value: {} } as const;

/** A browser with a page of one origin open: it keeps cookies and sends them back. */
function browser(origin: string | undefined) {
  const jar = new Map<string, string>();
  const attributes = new Map<string, string[]>();
  const onHeader = (header: Headers) => {
    for (const line of header.getSetCookie()) {
      const [pair = "", ...rest] = line.split("; ");
      const [name = "", value = ""] = pair.split("=");
      if (rest.includes("Max-Age=0")) jar.delete(name);
      else jar.set(name, value);
      attributes.set(name, rest);
    }
  };
  const headers = () => ({
    ...(origin && { origin }),
    ...(jar.size > 0 && { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") }),
  });
  return {
    jar,
    attributes,
    call: { onHeader },
    sessions: () => app.client(SessionService, undefined, headers()),
    tokens: () => app.client(TokenService, undefined, headers()),
    users: () => app.client(UserService, undefined, headers()),
  };
}

/** A browser whose page has signed in a guest, with cookies alone. */
async function signedIn() {
  const page = browser(PAGE);
  const answer = await page.sessions().createSession({ projectId: own.id, credential, cookieOnly: true }, page.call);
  return { page, grant: answer.grant, userId: answer.user?.id };
}

describe("a page of an origin that the project lists", () => {
  test("gets its tokens as cookies that no script reads, and with `cookie_only` nowhere else", async () => {
    const { page, grant, userId } = await signedIn();
    expect(page.attributes.get("__Host-muster-session")).toEqual([
      "Path=/",
      "Max-Age=86400",
      "HttpOnly",
      "Secure",
      "SameSite=Lax",
    ]);
    expect(page.attributes.get("__Host-muster-refresh")).toEqual([
      "Path=/",
      "Max-Age=86400",
      "HttpOnly",
      "Secure",
      "SameSite=Lax",
    ]);
    expect([grant?.sessionToken, grant?.refreshToken]).toEqual(["", ""]);
    expect(grant?.accessToken).not.toBe("");
    expect((await page.users().getUser(ME)).user?.id).toBe(userId);
    const open = browser(PAGE);
    const { grant: both } = await open.sessions().createSession({ projectId: own.id, credential }, open.call);
    expect(both?.sessionToken).toBe(open.jar.get("__Host-muster-session"));
    expect(both?.refreshToken).toBe(open.jar.get("__Host-muster-refresh"));
  });

  test("refreshes by its cookie, which is then another one", async () => {
    const { page, userId } = await signedIn();
    const before = page.jar.get("__Host-muster-refresh");
    const refreshed = await page.tokens().refreshToken({ projectId: own.id, cookieOnly: true }, page.call);
    expect([refreshed.user?.id, refreshed.outcome]).toEqual([userId, RefreshOutcome.ROTATED]);
    expect(refreshed.grant?.refreshToken).toBe("");
    expect(page.jar.get("__Host-muster-refresh")).not.toBe(before);
    expect((await page.tokens().refreshToken({ projectId: own.id }, page.call)).outcome).toBe(RefreshOutcome.ROTATED);
  });

  test("refreshes although its session ended, and its cookie of that is still sent", async () => {
    const { page, userId } = await signedIn();
    app.clock.step(3 * 3_600_000);
    expect(await reasonOf(page.users().getUser(ME))).toBe("SESSION_NOT_FOUND");
    const refreshed = await page.tokens().refreshToken({ projectId: own.id }, page.call);
    expect(refreshed.user?.id).toBe(userId);
    expect((await page.users().getUser(ME)).user?.id).toBe(userId);
  });

  test("signs in anew although the cookies that it has are good for nothing", async () => {
    const { page } = await signedIn();
    await page.sessions().deleteSession({});
    const again = await page.sessions().createSession({ projectId: own.id, credential }, page.call);
    expect((await page.users().getUser(ME)).user?.id).toBe(again.user?.id);
  });

  test("signs in to another project although its cookie is one of this", async () => {
    const { page } = await signedIn();
    const other = await app.project({ corsOrigins: [PAGE] });
    const { grant } = await page.sessions().createSession({ projectId: other.id, credential }, page.call);
    expect(grant?.session?.id).toBeDefined();
  });

  test("loses its cookies when it signs out", async () => {
    const { page } = await signedIn();
    await page.sessions().deleteSession({}, page.call);
    expect([...page.jar]).toEqual([]);
  });
});

describe("cookies are given to no one else and taken from no one else:", () => {
  test("a page of another origin, and what is no page", async () => {
    for (const origin of ["https://evil.example", "null", "https://app.example.evil.example", undefined]) {
      const page = browser(origin);
      const { grant } = await page.sessions().createSession({ projectId: own.id, credential }, page.call);
      expect(grant?.sessionToken).not.toBe("");
      expect([...page.jar]).toEqual([]);
      const only = page.sessions().createSession({ projectId: own.id, credential, cookieOnly: true });
      expect(await reasonOf(only)).toBe("ORIGIN_NOT_ALLOWED");
    }
  });

  test("the server's own pages, as they are reached from outside, are given them", async () => {
    const page = browser("http://muster.test");
    await page.sessions().createSession({ projectId: own.id, credential }, page.call);
    expect([...page.jar.keys()]).toEqual(["__Host-muster-session", "__Host-muster-refresh"]);
  });

  test("a refresh by cookie from another origin is refused, and uses nothing up", async () => {
    const { page } = await signedIn();
    const evil = browser("https://evil.example");
    for (const [name, value] of page.jar) evil.jar.set(name, value);
    expect(await reasonOf(evil.tokens().refreshToken({ projectId: own.id }))).toBe("ORIGIN_NOT_ALLOWED");
    expect((await page.tokens().refreshToken({ projectId: own.id })).outcome).toBe(RefreshOutcome.ROTATED);
  });

  test("a refresh cookie is no credential", async () => {
    const { page } = await signedIn();
    page.jar.delete("__Host-muster-session");
    expect(await reasonOf(page.users().getUser(ME))).toBe("CREDENTIAL_MISSING");
  });

  test("a credential that is not a cookie is never passed over", async () => {
    for (const value of ["mst_gone", "a.b.c"]) {
      const call = app.client(SessionService, value).createSession({ projectId: own.id, credential });
      expect(["SESSION_NOT_FOUND", "TOKEN_INVALID"]).toContain(await reasonOf(call));
    }
  });
});
