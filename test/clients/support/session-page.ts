import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { createSession } from "../../../src/client/session.ts";
import { SessionService } from "../../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../../src/gen/muster/v1/user_service_pb.ts";

/** What the page has of the DOM's types. */
const page = globalThis as unknown as { readonly document: { readonly cookie: string } };

/** Runs in the browser: an app's page that keeps its session by cookies. */
function startApp(baseUrl: string, projectId: string) {
  const withCookies: typeof fetch = (url, init) => fetch(url, { ...init, credentials: "include" });
  const plain = createConnectTransport({ baseUrl, fetch: withCookies });
  const session = createSession({ transport: plain, projectId, cookies: true });
  const users = createClient(UserService, createConnectTransport({ baseUrl, interceptors: [session.interceptor] }));
  return {
    /** Signs in as a guest; gives what a script of the page sees of the tokens. */
    async signIn() {
      const credential = { case: "guest", value: { name: "Ada" } } as const;
      const { grant } = await createClient(SessionService, plain).createSession({
        projectId,
        credential,
        cookieOnly: true,
      });
      if (!grant) throw new Error("no grant");
      session.use(grant);
      return { sessionToken: grant.sessionToken, refreshToken: grant.refreshToken, cookies: page.document.cookie };
    },
    restore: () => session.restore(),
    signOut: () => session.signOut(),
    whoAmI: async () => (await users.getUser({ ref: { ref: { case: "me", value: true } } })).user?.id,
    signedIn: () => session.state !== undefined,
  };
}

Object.assign(globalThis, { startApp });
