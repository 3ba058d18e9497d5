import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { mailFolder } from "../support/mail-folder.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { byLogin, guest, ME, PASSWORD, refresh, signUp } from "./sessions-fixture.ts";

const { dataDir, mailsTo } = await mailFolder();
const passwordResetUrl = "https://app.example/reset?in={project_id}#{token}";
const app = await startApp({ config: { dataDir, passwordResetUrl } });
const { client, clock, db } = app;
const own = await app.project();
const NEXT = "an entirely different one";
const sessions = (credential?: string) => client(SessionService, credential);
const isIn = async (token = "") => (await client(UserService, token).getUser(ME)).user?.id;
const signIn = (login: string, password: string) =>
  sessions().createSession({ projectId: own.id, credential: byLogin(login, password) });
const emailOf = (login: string) => `${login}@example.org`;

/** A user with an email. */
async function owner(login: string) {
  const { user, grant } = await sessions().signUp({
    projectId: own.id,
    login,
    email: emailOf(login),
    password: PASSWORD,
  });
  return { userId: user?.id ?? "", grant };
}

async function linkFor(login: string): Promise<string> {
  await sessions().requestPasswordReset({ projectId: own.id, email: emailOf(login) });
  const [mail = ""] = (await mailsTo(emailOf(login), 1)).filter((text) => text.includes("mrp_")).slice(-1);
  return /mrp_[A-Za-z0-9_-]{48}/.exec(mail)?.[0] ?? "";
}

describe("ChangePassword", () => {
  test("takes the old password, ends the other sessions, leaves the current one and tells the owner", async () => {
    const { userId, grant } = await owner("alice");
    const { grant: other } = await signIn("alice", PASSWORD);
    const change = (oldPassword: string, password: string) =>
      sessions(grant?.sessionToken).changePassword({ oldPassword, password });
    expect(await reasonOf(change("wrong password", NEXT))).toBe("CREDENTIALS_REJECTED");
    expect(await reasonOf(change(PASSWORD, "short"))).toBe("PASSWORD_WEAK");
    expect((await change(PASSWORD, NEXT)).user).toMatchObject({ id: userId, login: "alice" });
    expect(await isIn(grant?.sessionToken)).toBe(userId);
    expect((await refresh(app, own, grant?.refreshToken ?? "")).user?.id).toBe(userId);
    expect(await reasonOf(isIn(other?.sessionToken))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(isIn(other?.accessToken))).toBe("TOKEN_REVOKED");
    expect(await reasonOf(refresh(app, own, other?.refreshToken ?? ""))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(signIn("alice", PASSWORD))).toBe("CREDENTIALS_REJECTED");
    expect((await signIn("alice", NEXT)).user?.id).toBe(userId);
    expect((await mailsTo(emailOf("alice"), 1))[0]).toContain("was changed");
    const { rows } = await db.pool.query("select cause from revocations where session_id = $1", [other?.session?.id]);
    expect(rows).toEqual([{ cause: "PASSWORD_CHANGED" }]);
  });

  test("is nothing for who has no password", async () => {
    const { grant } = await guest(app, own);
    const change = sessions(grant.sessionToken).changePassword({ oldPassword: "x", password: NEXT });
    expect(await reasonOf(change)).toBe("CREDENTIALS_REJECTED");
  });

  test("twice at once changes it once, and a sign-in that races with it holds only with the password that counts", async () => {
    const { grant } = await signUp(app, own, "racer");
    const change = (password: string) =>
      sessions(grant.sessionToken).changePassword({ oldPassword: PASSWORD, password });
    const [one, two, ...signedIn] = await Promise.allSettled([
      change("first of two passwords"),
      change("second of two passwords"),
      ...Array.from({ length: 6 }, () => signIn("racer", PASSWORD)),
    ]);
    expect([one.status, two.status].toSorted()).toEqual(["fulfilled", "rejected"]);
    for (const it of signedIn) {
      const token = it.status === "fulfilled" && "grant" in it.value ? it.value.grant?.sessionToken : "mst_";
      expect(await reasonOf(isIn(token))).toBe("SESSION_NOT_FOUND");
    }
  });
});

describe("a password is reset", () => {
  test("by the link in a mail, once: all sessions end, nobody is signed in, the email is verified and told", async () => {
    const { userId, grant } = await owner("bob");
    const token = await linkFor("bob");
    const reset = (password: string) => sessions().resetPassword({ projectId: own.id, token, password });
    expect(await reasonOf(reset("short"))).toBe("PASSWORD_WEAK");
    expect(await reset(NEXT)).toEqual({ $typeName: "muster.v1.ResetPasswordResponse" });
    expect(await reasonOf(reset(NEXT))).toBe("RESET_TOKEN_INVALID");
    expect(await reasonOf(isIn(grant?.sessionToken))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(isIn(grant?.accessToken))).toBe("TOKEN_REVOKED");
    expect(await reasonOf(signIn("bob", PASSWORD))).toBe("CREDENTIALS_REJECTED");
    expect((await signIn("bob", NEXT)).user).toMatchObject({ id: userId, emailVerified: true });
    const mails = await mailsTo(emailOf("bob"), 2);
    expect(mails.some((text) => text.includes(`https://app.example/reset?in=${own.id}#${token}`))).toBe(true);
    expect(mails.some((text) => text.includes("was changed"))).toBe(true);
    const { rows } = await db.pool.query<{ text: string }>("select e::text as text from events e");
    expect(rows.map(({ text }) => text).join("\n")).not.toContain("mrp_");
  });

  test("within an hour, by one of twenty calls at once, in its own project", async () => {
    await owner("carol");
    const late = await linkFor("carol");
    clock.step(3_600_000);
    const reset = (token: string, projectId = own.id) => sessions().resetPassword({ projectId, token, password: NEXT });
    expect(await reasonOf(reset(late))).toBe("RESET_TOKEN_INVALID");
    await owner("dave");
    const token = await linkFor("dave");
    expect(await reasonOf(reset(token, (await app.project()).id))).toBe("RESET_TOKEN_INVALID");
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => reset(token)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("by no token that is anything else", async () => {
    const { grant } = await owner("erin");
    const token = await linkFor("erin");
    for (const other of [
      "x",
      "mrp_",
      token.slice(0, -1),
      `${token}A`,
      grant?.sessionToken ?? "",
      token.replace("mrp_", "mst_"),
    ])
      expect(await reasonOf(sessions().resetPassword({ projectId: own.id, token: other, password: NEXT }))).toBe(
        "RESET_TOKEN_INVALID",
      );
    expect(await reasonOf(isIn(token))).toBe("CREDENTIAL_INVALID");
  });

  test("not any more once the password was changed, or the email is another user's", async () => {
    const { grant } = await owner("frank");
    const first = await linkFor("frank");
    await sessions(grant?.sessionToken).changePassword({ oldPassword: PASSWORD, password: NEXT });
    const reset = (token: string) =>
      sessions().resetPassword({ projectId: own.id, token, password: "yet another password" });
    expect(await reasonOf(reset(first))).toBe("RESET_TOKEN_INVALID");
    const { userId } = await owner("grete");
    const token = await linkFor("grete");
    const locator = { type: LocatorType.EMAIL, value: emailOf("grete") };
    await own.system(UserService).removeLocator({ ref: { ref: { case: "id", value: userId } }, locator });
    expect(await reasonOf(reset(token))).toBe("RESET_TOKEN_INVALID");
  });

  test("by an email that is not verified only while the user has no other one that is", async () => {
    const { userId } = await owner("trap");
    const users = own.system(UserService);
    const ref = { ref: { case: "id", value: userId } } as const;
    const before = await linkFor("trap");
    const second = { type: LocatorType.EMAIL, value: "proven@example.org", verified: true };
    await users.addLocator({ ref, locator: second });
    expect(await reasonOf(sessions().resetPassword({ projectId: own.id, token: before, password: NEXT }))).toBe(
      "RESET_TOKEN_INVALID",
    );
    for (const email of [emailOf("trap"), "proven@example.org"])
      await sessions().requestPasswordReset({ projectId: own.id, email });
    const [mail = ""] = await mailsTo("proven@example.org", 1);
    const token = /mrp_[A-Za-z0-9_-]{48}/.exec(mail)?.[0] ?? "";
    await sessions().resetPassword({ projectId: own.id, token, password: NEXT });
    const mails = await mailsTo(emailOf("trap"), 2);
    expect(mails.filter((text) => text.includes("mrp_"))).toHaveLength(1);
    expect((await signIn("trap", NEXT)).user).toMatchObject({ id: userId, emailVerified: false });
  });

  test("only where there is a page for it, and the answer does not tell who has an email", async () => {
    const bare = await startApp({ db });
    const call = bare.client(SessionService).requestPasswordReset({ projectId: own.id, email: "x@example.org" });
    expect(await reasonOf(call)).toBe("PASSWORD_RESET_NOT_CONFIGURED");
    const answer = await sessions().requestPasswordReset({ projectId: own.id, email: "nobody@example.org" });
    expect(answer).toEqual({ $typeName: "muster.v1.RequestPasswordResetResponse" });
    const nowhere = { projectId: "00000000-0000-7000-8000-000000000000", email: "x@example.org" };
    expect(await reasonOf(sessions().requestPasswordReset(nowhere))).toBe("PROJECT_NOT_FOUND");
  });
});
