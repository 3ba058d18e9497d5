import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { SessionExpired } from "../../src/client/session.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApps } from "./session-fixture.ts";

const MINUTE = 60_000;
const me = { ref: { ref: { case: "me", value: true } } } as const;
const whoAmI = async (transport: Transport) => (await createClient(UserService, transport).getUser(me)).user?.id;
const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

/** Moves time on, no faster than it passes, while something waits for it. */
const passing = async <T>(apps: { clock: { advance(ms: number): Promise<void> } }, work: Promise<T>): Promise<T> => {
  let over = false;
  const done = work.finally(() => {
    over = true;
  });
  done.catch(() => {});
  while (!over) {
    await apps.clock.advance(10);
    await delay(10);
  }
  return done;
};

describe("a session in an app", () => {
  test("puts the access token on calls, and leaves them as they are while nobody is signed in", async () => {
    const apps = await startApps();
    const { session, transport } = apps.app();
    await expect(whoAmI(transport)).rejects.toThrow(ConnectError);
    const grant = await apps.signIn();
    session.use(grant);
    expect(await whoAmI(transport)).toBe(grant.session?.userId);
    expect(session.state).toMatchObject({ sessionId: grant.session?.id, userId: grant.session?.userId });
  });

  test("refreshes before the access token ends, once for fifty calls", async () => {
    const apps = await startApps();
    const { session, transport } = apps.app();
    const grant = await apps.signIn();
    session.use(grant);
    await apps.clock.advance(29 * MINUTE + 45_000);
    const ids = await Promise.all(times(50, () => whoAmI(transport)));
    expect(new Set(ids)).toEqual(new Set([grant.session?.userId]));
    expect(apps.own).toEqual(["RefreshToken"]);
    expect(session.state?.accessToken).not.toBe(grant.accessToken);
  });

  test("refreshes when a call is refused for its token, and replays it once", async () => {
    const apps = await startApps();
    const { session, transport } = apps.app({ clock: { ...apps.clock, now: () => 0 } });
    const grant = await apps.signIn();
    session.use(grant);
    await apps.clock.advance(31 * MINUTE);
    expect(await whoAmI(transport)).toBe(grant.session?.userId);
    expect(apps.own).toEqual(["RefreshToken"]);
  });

  test("a lost answer to the refresh is asked for again, and the session goes on", async () => {
    const apps = await startApps();
    const { session, transport } = apps.app();
    const grant = await apps.signIn();
    session.use(grant);
    await apps.clock.advance(31 * MINUTE);
    apps.lose = 1;
    expect(await passing(apps, whoAmI(transport))).toBe(grant.session?.userId);
    await apps.clock.advance(31 * MINUTE);
    expect(await passing(apps, whoAmI(transport))).toBe(grant.session?.userId);
    expect(apps.own).toEqual(["RefreshToken", "RefreshToken", "RefreshToken"]);
  });

  test("signs out on the server and forgets", async () => {
    const apps = await startApps();
    const { session, transport } = apps.app();
    const grant = await apps.signIn();
    session.use(grant);
    await session.signOut();
    expect(session.state).toBeUndefined();
    expect(apps.own).toEqual(["DeleteSession"]);
    const { sessions } = await apps.project
      .system(SessionService)
      .listSessions({ ref: { ref: { case: "id", value: grant.session?.userId ?? "" } } });
    expect(sessions).toEqual([]);
    await expect(whoAmI(transport)).rejects.toThrow(ConnectError);
  });

  test("signs out on the server also when its access token has ended", async () => {
    const apps = await startApps();
    const { session } = apps.app();
    const grant = await apps.signIn();
    session.use(grant);
    await apps.clock.advance(31 * MINUTE);
    await session.signOut();
    expect(session.state).toBeUndefined();
    const { sessions } = await apps.project
      .system(SessionService)
      .listSessions({ ref: { ref: { case: "id", value: grant.session?.userId ?? "" } } });
    expect(sessions).toEqual([]);
  });
});

describe("a session that is over and cannot be refreshed", () => {
  const endAfterSignIn = async (sessionExpired?: SessionExpired) => {
    const apps = await startApps();
    const app = apps.app(sessionExpired && { sessionExpired });
    const grant = await apps.signIn();
    app.session.use(grant);
    await apps.project.system(SessionService).deleteSession({ sessionId: grant.session?.id ?? "" });
    return { apps, ...app };
  };

  test("is made anew by the hook, once for twenty calls, each of which is replayed", async () => {
    let asked = 0;
    const { apps, transport } = await endAfterSignIn((_, retry) => {
      asked += 1;
      void apps.signIn().then(retry);
    });
    const ids = new Set(await Promise.all(times(20, () => whoAmI(transport))));
    expect(asked).toBe(1);
    expect(ids.size).toBe(1);
    expect(ids.has(undefined)).toBe(false);
  });

  test("fails the calls with their own error, or the one given, when the hook lets them", async () => {
    const { transport } = await endAfterSignIn((handle) => handle());
    expect(await reasonOf(whoAmI(transport))).toMatch(/^(TOKEN_REVOKED|SESSION_NOT_FOUND)$/);
    const given = new ConnectError("not now", Code.Aborted);
    const { transport: other } = await endAfterSignIn((handle) => handle(given));
    await expect(whoAmI(other)).rejects.toBe(given);
  });

  test("fails the calls without a hook, and nobody is signed in any more", async () => {
    const { session, transport } = await endAfterSignIn();
    expect(await reasonOf(whoAmI(transport))).toMatch(/^(TOKEN_REVOKED|SESSION_NOT_FOUND)$/);
    expect(session.state).toBeUndefined();
  });
});

describe("the tabs of one browser", () => {
  test("refresh once, all twenty together", async () => {
    const apps = await startApps();
    const tabs = times(20, () => apps.app({ shareTabs: true }));
    const grant = await apps.signIn();
    for (const { session } of tabs) session.use(grant);
    await apps.clock.advance(29 * MINUTE + 45_000);
    const ids = await passing(apps, Promise.all(tabs.map(({ transport }) => whoAmI(transport))));
    expect(new Set(ids)).toEqual(new Set([grant.session?.userId]));
    expect(apps.own).toEqual(["RefreshToken"]);
    await expect.poll(() => new Set(tabs.map(({ session }) => session.state?.accessToken)).size).toBe(1);
  });

  test("share a sign-in with a tab that is opened later, and sign out together", async () => {
    const apps = await startApps();
    const first = apps.app({ shareTabs: true });
    const grant = await apps.signIn();
    first.session.use(grant);
    const later = apps.app({ shareTabs: true });
    expect(await passing(apps, later.session.restore())).toBe(true);
    expect(await whoAmI(later.transport)).toBe(grant.session?.userId);
    await later.session.signOut();
    await expect.poll(() => first.session.state).toBeUndefined();
  });

  test("a tab by itself finds nothing to restore", async () => {
    const apps = await startApps();
    const { session } = apps.app({ shareTabs: true });
    expect(await passing(apps, session.restore())).toBe(false);
  });
});
