import { readFileSync } from "node:fs";
import { fromJsonString } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { CreateProviderRequestSchema, ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { startApp } from "../support/start-app.ts";

const guide = readFileSync("docs/providers.md", "utf8");
const presets = [...guide.matchAll(/```json\n([^]*?)```/g)].map(([, json = ""]) => json);
const auth = (await (await startApp()).project()).system(ExternalAuthService);

test("every provider that the guide has can be made as it stands there", async () => {
  for (const preset of presets) {
    const request = fromJsonString(CreateProviderRequestSchema, preset);
    const { provider } = await auth.createProvider(request);
    expect(provider?.config.case).toBe(request.provider?.config.case);
  }
  const { providers } = await auth.listProviders({});
  const named = ["apple", "auth0", "clerk", "contoso", "firebase", "google", "house", "supabase", "supabase-keys"];
  expect(providers.map(({ id }) => id)).toEqual(named);
});

test("the guide names the reasons that a sign-in by a provider ends with", () => {
  for (const reason of ["EXTERNAL_JWT_INVALID", "PROVIDER_UNAVAILABLE", "PROVIDER_NOT_FOUND", "REQUEST_INVALID"])
    expect(guide).toContain(`| \`${reason}\` |`);
});
