import { randomUUID } from "node:crypto";
import { OAuth2Server } from "oauth2-mock-server";
import { afterAll, expect, test } from "vitest";
import { startProving } from "./proving.ts";

const server = new OAuth2Server();
await server.issuer.keys.generate("ES256");
await server.start(0, "127.0.0.1");
afterAll(() => server.stop());
const issuer = server.issuer.url ?? "";
const { clock, prove, provider, refusal } = await startProving([new URL(issuer).host]);

test("the ID token that an app gets by the authorization code flow proves its user, by the nonce that the app sent", async () => {
  // The provider goes by the machine's clock.
  clock.step(Date.now() - clock.now());
  const id = await provider({ case: "oidc", value: { issuer, clientId: "my-app" } });
  const nonce = randomUUID();
  const asked = new URLSearchParams({
    ...{ response_type: "code", scope: "openid", client_id: "my-app", state: "s", nonce },
    redirect_uri: "https://app.example/back",
  });
  const back = await fetch(`${issuer}/authorize?${asked}`, { redirect: "manual" });
  const code = new URL(back.headers.get("location") ?? "").searchParams.get("code") ?? "";
  const answer = await fetch(`${issuer}/token`, {
    method: "POST",
    body: new URLSearchParams({
      ...{ grant_type: "authorization_code", code, client_id: "my-app" },
      redirect_uri: "https://app.example/back",
    }),
  });
  const { id_token: idToken, access_token: accessToken } = (await answer.json()) as Record<string, string>;
  expect((await prove(id, idToken ?? "", nonce)).subject).toBe("johndoe");
  expect((await refusal(id, idToken ?? "")).why).toBe("it has a nonce, and none was given");
  expect((await refusal(id, accessToken ?? "", nonce)).reason).toBe("EXTERNAL_JWT_INVALID");
});
