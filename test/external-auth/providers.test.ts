import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { reseal } from "../../src/db/reseal.ts";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { FirebaseMethod, type ProviderSchema } from "../../src/gen/muster/v1/provider_pb.ts";
import { SEALED_COLUMNS } from "../../src/sealed-columns.ts";
import { createSealer } from "../../src/sealing.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

type ProviderInit = MessageInitShape<typeof ProviderSchema>;

const app = await startApp();
const { db, clock } = app;

const newProject = async () => {
  const project = await app.project();
  return { ...project, auth: project.system(ExternalAuthService) };
};
const oidc = (id: string): ProviderInit => ({
  id,
  displayName: "Example",
  config: { case: "oidc", value: { issuer: "https://issuer.example", clientId: "app" } },
});
const http = (id: string, headers: Record<string, string> = {}, url = "https://api.example/check"): ProviderInit => ({
  id,
  config: { case: "http", value: { url, headers, response: { subject: "/id" } } },
});

describe("a provider", () => {
  test("is given back as it was made, by itself and in the list, which goes by id", async () => {
    const { auth } = await newProject();
    const made = [];
    for (const id of ["b", "c-2", "a"]) made.push((await auth.createProvider({ provider: oidc(id) })).provider);
    expect(made[0]).toMatchObject({
      id: "b",
      displayName: "Example",
      disabled: false,
      config: { case: "oidc", value: { issuer: "https://issuer.example", clientId: "app", audiences: [] } },
    });
    expect(made[0]?.createTime).toEqual(made[0]?.updateTime);
    expect((await auth.getProvider({ provider: "b" })).provider).toEqual(made[0]);
    const { providers } = await auth.listProviders({});
    expect(providers).toEqual([made[2], made[0], made[1]]);
  });

  test("of each kind has the defaults filled in that the contract names", async () => {
    const { auth } = await newProject();
    const { provider: firebase } = await auth.createProvider({
      provider: {
        id: "firebase",
        config: {
          case: "firebase",
          value: { firebaseProjectId: "my-app", methods: [FirebaseMethod.EMAIL, FirebaseMethod.PHONE] },
        },
      },
    });
    expect(firebase?.config.value).toMatchObject({
      firebaseProjectId: "my-app",
      methods: [FirebaseMethod.PHONE, FirebaseMethod.EMAIL],
      keysUri: "",
    });
    const { provider: asked } = await auth.createProvider({ provider: http("http") });
    expect(asked?.config.value).toMatchObject({ method: "POST", body: '{"token": "{credential}"}', headers: {} });
  });

  test("is one of its id in its project, and free in others", async () => {
    const [mine, theirs] = [await newProject(), await newProject()];
    await mine.auth.createProvider({ provider: oidc("same") });
    expect(await reasonOf(mine.auth.createProvider({ provider: http("same") }))).toBe("PROVIDER_TAKEN");
    await theirs.auth.createProvider({ provider: oidc("same") });
    await theirs.auth.deleteProvider({ provider: "same" });
    expect((await mine.auth.getProvider({ provider: "same" })).provider?.id).toBe("same");
    expect(await reasonOf(theirs.auth.getProvider({ provider: "same" }))).toBe("PROVIDER_NOT_FOUND");
  });

  test("that is made by twenty at once is made by one", async () => {
    const { auth } = await newProject();
    const calls = Array.from({ length: 20 }, () => auth.createProvider({ provider: oidc("raced") }));
    const reasons = await Promise.all(
      calls.map((call) =>
        call.then(
          () => "made",
          () => reasonOf(call),
        ),
      ),
    );
    expect(reasons.toSorted()).toEqual([...Array<string>(19).fill("PROVIDER_TAKEN"), "made"].toSorted());
  });

  test("is one of 50 at most, however many are made at once, and there is room again after one goes", async () => {
    const { auth } = await newProject();
    const make = (at: number) => auth.createProvider({ provider: oidc(`p${at}`) });
    const calls = Array.from({ length: 60 }, (_, at) => make(at));
    const reasons = await Promise.all(
      calls.map((call) =>
        call.then(
          () => "made",
          () => reasonOf(call),
        ),
      ),
    );
    expect(reasons.filter((it) => it === "made")).toHaveLength(50);
    expect(reasons.filter((it) => it === "PROVIDERS_FULL")).toHaveLength(10);
    const { providers } = await auth.listProviders({});
    expect(providers).toHaveLength(50);
    await auth.deleteProvider({ provider: providers[0]?.id ?? "" });
    await auth.createProvider({ provider: oidc("one-more") });
  });

  test("has to be there to be read and changed, and may be deleted where it is not", async () => {
    const { auth } = await newProject();
    expect(await reasonOf(auth.getProvider({ provider: "none" }))).toBe("PROVIDER_NOT_FOUND");
    expect(await reasonOf(auth.updateProvider({ provider: oidc("none") }))).toBe("PROVIDER_NOT_FOUND");
    await auth.deleteProvider({ provider: "none" });
  });
});

describe("an update", () => {
  test("without a mask changes what is set, and with one what it names", async () => {
    const { auth } = await newProject();
    await auth.createProvider({ provider: oidc("p") });
    await clock.advance(1_000);
    const { provider: named } = await auth.updateProvider({ provider: { id: "p", displayName: "Other" } });
    expect(named).toMatchObject({ displayName: "Other", disabled: false, config: { value: { clientId: "app" } } });
    expect(named?.updateTime).not.toEqual(named?.createTime);
    const config = { case: "oidc" as const, value: { issuer: "https://other.example", audiences: ["web"] } };
    const { provider: moved } = await auth.updateProvider({
      provider: { id: "p", disabled: true, config },
      updateMask: { paths: ["oidc", "display_name"] },
    });
    expect(moved).toMatchObject({ displayName: "", disabled: false });
    expect(moved?.config.value).toMatchObject({ issuer: "https://other.example", clientId: "", audiences: ["web"] });
    const on = async (disabled: boolean) =>
      (await auth.updateProvider({ provider: { id: "p", disabled }, updateMask: { paths: ["disabled"] } })).provider;
    expect([(await on(true))?.disabled, (await on(false))?.disabled]).toEqual([true, false]);
  });

  test("changes neither the kind nor what is no field of it", async () => {
    const { auth } = await newProject();
    await auth.createProvider({ provider: oidc("p") });
    expect((await refusalOf(auth.updateProvider({ provider: http("p") }))).fields).toEqual(["provider.http"]);
    const masked = (path: string) => auth.updateProvider({ provider: { id: "p" }, updateMask: { paths: [path] } });
    expect((await refusalOf(masked("id"))).fields).toEqual(["update_mask"]);
    expect((await refusalOf(masked("oidc"))).fields).toEqual(["provider.oidc"]);
  });
});

describe("the headers of an HTTP provider", () => {
  const SECRET = "Bearer very-secret";

  test("are told to nobody, and kept sealed", async () => {
    const { auth, id } = await newProject();
    const { provider } = await auth.createProvider({ provider: http("p", { Authorization: SECRET, "x-app": "a" }) });
    const withheld = { Authorization: "***", "x-app": "***" };
    expect(provider?.config.value).toMatchObject({ headers: withheld });
    expect((await auth.getProvider({ provider: "p" })).provider).toEqual(provider);
    expect((await auth.listProviders({})).providers).toEqual([provider]);
    const { rows } = await db.pool.query("select to_jsonb(p)::text as row from providers p where project_id = $1", [
      id,
    ]);
    expect(rows[0].row).not.toContain("very-secret");
    expect(rows[0].row).not.toContain(Buffer.from("very-secret").toString("hex"));
  });

  test("stay as they are where an update has *** in their place, and go where it leaves them out", async () => {
    const { auth, id } = await newProject();
    await auth.createProvider({ provider: http("p", { Authorization: SECRET, "x-app": "a" }) });
    const url = "https://api.example/other?q=1";
    await auth.updateProvider({ provider: http("p", { authorization: "***", "x-new": "b" }, url) });
    expect(await headersOf(id)).toEqual({ authorization: SECRET, "x-new": "b" });
    await auth.updateProvider({ provider: http("p") });
    expect(await headersOf(id)).toEqual({});
  });

  test("go to no other host than they were given for", async () => {
    const { auth, id } = await newProject();
    await auth.createProvider({ provider: http("p", { Authorization: SECRET }) });
    for (const url of [
      "https://evil.example/check",
      "https://api.example:8443/check",
      "https://api.example.evil.org/",
    ]) {
      const moved = auth.updateProvider({ provider: http("p", { Authorization: "***" }, url) });
      expect((await refusalOf(moved)).fields).toEqual(['provider.http.headers["Authorization"]']);
    }
    await auth.updateProvider({ provider: http("p", { Authorization: "other" }, "https://new.example/") });
    expect(await headersOf(id)).toEqual({ Authorization: "other" });
  });

  test("cannot be *** where there is no such header", async () => {
    const { auth } = await newProject();
    const named = ['provider.http.headers["x-app"]'];
    expect((await refusalOf(auth.createProvider({ provider: http("p", { "x-app": "***" }) }))).fields).toEqual(named);
    await auth.createProvider({ provider: http("p") });
    expect((await refusalOf(auth.updateProvider({ provider: http("p", { "x-app": "***" }) }))).fields).toEqual(named);
  });

  test("are sealed anew when the encryption key is rotated", async () => {
    const { auth, id } = await newProject();
    await auth.createProvider({ provider: http("p", { Authorization: SECRET }) });
    const rotated = createSealer([new Uint8Array(32).fill(7), ...app.config.encryptionKeys]);
    await reseal(db, rotated, SEALED_COLUMNS);
    expect(await headersOf(id, createSealer([new Uint8Array(32).fill(7)]))).toEqual({ Authorization: SECRET });
    // For the tests after this one.
    await reseal(db, createSealer([...app.config.encryptionKeys, new Uint8Array(32).fill(7)]), SEALED_COLUMNS);
  });

  async function headersOf(projectId: string, sealer = createSealer(app.config.encryptionKeys)) {
    const { rows } = await db.pool.query("select id, sealed_headers from providers where project_id = $1", [projectId]);
    const context = { purpose: "provider-headers", projectId, id: rows[0].id as string };
    return rows[0].sealed_headers ? JSON.parse(sealer.open(rows[0].sealed_headers, context).toString()) : {};
  }
});
