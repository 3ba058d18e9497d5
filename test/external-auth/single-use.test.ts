import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { externalJobs } from "../../src/external-auth/external-jobs.ts";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { keyPair, projectWithKey, signerFor } from "./external-fixture.ts";

const app = await startApp();
const own = await projectWithKey(app, { externalJwtSingleUse: true });
const seconds = (span: number) => Math.floor(app.clock.now() / 1_000) + span;
const outcomeOf = (call: Promise<unknown>) =>
  call.then(
    () => "taken",
    (error: unknown) => reasonOf(Promise.reject(error as Error)),
  );
const rows = async () => (await app.db.pool.query("select * from external_jwts")).rowCount;

describe("where a JWT is good once", () => {
  test("the second use is refused, and so is one without a jti", async () => {
    const jwt = own.jwt({ jti: "once" });
    expect(await outcomeOf(own.verify(jwt))).toBe("taken");
    expect(await outcomeOf(own.verify(jwt))).toBe("EXTERNAL_JWT_INVALID");
    expect(await outcomeOf(own.verify(own.jwt({ jti: "once", sub: "somebody else" })))).toBe("EXTERNAL_JWT_INVALID");
    for (const jti of [undefined, "", 7, null])
      expect(await outcomeOf(own.verify(own.jwt({ jti })))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("of twenty uses at once one is taken, also by several servers", async () => {
    const other = await startApp({ db: app.db, clock: app.clock });
    const there = other.client(ExternalAuthService);
    const jwt = own.jwt({ jti: "raced" });
    const calls = Array.from({ length: 20 }, (_, i) =>
      outcomeOf(i % 2 ? own.verify(jwt) : there.verifyExternalUser({ projectId: own.project.id, userJwt: jwt })),
    );
    expect((await Promise.all(calls)).filter((outcome) => outcome === "taken")).toHaveLength(1);
  });

  test("it is not used up by being refused, whatever for", async () => {
    const jti = "spared";
    const forged = signerFor(app, own.project, keyPair());
    await outcomeOf(own.verify(forged({ jti })));
    await outcomeOf(own.verify(own.jwt({ jti, exp: seconds(-3_600), iat: seconds(-7_200) })));
    await outcomeOf(own.verify(own.jwt({ jti, userData: { name: 7 } })));
    await outcomeOf(own.verify(own.jwt({ jti, userData: { username: "admin" } })));
    await outcomeOf(own.verify(own.jwt({ jti, iss: "another" })));
    expect(await outcomeOf(own.verify(own.jwt({ jti })))).toBe("taken");
  });

  test("it is used up by a sign-in that fails after it was accepted", async () => {
    const users = own.project.system(UserService);
    const ref = { ref: { case: "externalId", value: "kept out" } } as const;
    await users.upsertUser({ externalId: "kept out" });
    const { user } = await users.suspendUser({ ref, suspension: { reason: "x", blocksSignIn: true } });
    const jwt = own.jwt({ jti: "failed", sub: "kept out" });
    expect(await outcomeOf(own.verify(jwt))).toBe("USER_SUSPENDED");
    await users.liftSuspension({ ref, suspensionId: user?.suspensions[0]?.id ?? "" });
    expect(await outcomeOf(own.verify(jwt))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("names are each project's own", async () => {
    const other = await projectWithKey(app, { externalJwtSingleUse: true });
    expect(await outcomeOf(own.verify(own.jwt({ jti: "shared" })))).toBe("taken");
    expect(await outcomeOf(other.verify(other.jwt({ jti: "shared" })))).toBe("taken");
  });
});

test("where it is not, a JWT without a jti is good until its end, and nothing is kept of it", async () => {
  const free = await projectWithKey(app);
  const before = await rows();
  for (const jwt of [free.jwt(), free.jwt({ jti: "many" })])
    expect([await outcomeOf(free.verify(jwt)), await outcomeOf(free.verify(jwt))]).toEqual(["taken", "taken"]);
  expect(await rows()).toBe(before);
});

describe("what is kept of a JWT", () => {
  const [purge] = externalJobs({ db: app.db, clock: app.clock });
  const run = () => purge?.run(new AbortController().signal);

  test("goes once it cannot be taken any more, also where the project then takes older ones", async () => {
    const lasting = await projectWithKey(app, { externalJwtSingleUse: true });
    const jwt = lasting.jwt({ jti: "lasting", exp: seconds(7 * 86_400) });
    expect(await outcomeOf(lasting.verify(jwt))).toBe("taken");
    await app.clock.advance(6 * 86_400_000);
    await run();
    await lasting.project.system(ProjectService).updateProject({
      settings: { externalJwtMaxAge: durationFromMs(30 * 86_400_000) },
      updateMask: { paths: ["settings.external_jwt_max_age"] },
    });
    await app.clock.advance(1_000);
    expect((await lasting.explain(jwt)).checks.filter(({ passed }) => !passed).map(({ detail }) => detail)).toEqual([
      "jti was used before",
    ]);
    expect(await rows()).toBe(1);
    await app.clock.advance(2 * 86_400_000);
    await run();
    expect(await rows()).toBe(0);
  });
});
