import { type DescMethod, getOption, type Message } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { Access, access } from "../../src/gen/muster/v1/access_pb.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import type { Grant } from "../../src/gen/muster/v1/session_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { type BatchUpsertUsersResult, UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { SERVICES } from "../../src/services.ts";
import { NAUGHTY_STRINGS } from "../support/naughty-strings.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { fateOf } from "../support/string-fates.ts";
import { type Init, placesOf, type StringPlace, stringsIn, structStrings } from "../support/string-places.ts";
import { emailOf, FAILS, fresh, PROVIDER, refOf, requestOf, SLOTS, type Things } from "../support/string-requests.ts";

const app = await startApp({ config: { passwordResetUrl: "https://app.example/#{token}" } });
const methods = SERVICES.flatMap((service): DescMethod[] => [...service.methods]);
const CASES = methods.map((method) => ({ method, name: method.name, places: placesOf(method, fresh) }));
const ALL = CASES.flatMap(({ method, places }) => places.map((place) => ({ method, place })));

/** The services of a project, as whom an RPC lets in. */
interface World {
  readonly things: Things;
  client(method: DescMethod): Client<never>;
  users: Client<typeof UserService>;
  presences: Client<typeof PresenceService>;
  projects: Client<typeof ProjectService>;
  auth: Client<typeof ExternalAuthService>;
  events: Client<typeof EventService>;
}

async function newWorld(): Promise<World> {
  const { id: projectId, accessKey, system } = await app.project();
  const [users, projects] = [system(UserService), system(ProjectService)];
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
  await users.batchUpsertUsers({
    users: slots.map((slot) => ({ externalId: `user ${slot}`, user: { email: emailOf(slot) } })),
  });
  for (const key of ["note", "spare"])
    await users.defineAttribute({ definition: { key, contentTypes: ["text/plain", "text/html"] } });
  const auth = system(ExternalAuthService);
  const issuer = { case: "oidc", value: { issuer: "https://issuer.example", clientId: "app" } } as const;
  await auth.createProvider({ provider: { id: PROVIDER, config: issuer } });
  const events = system(EventService);
  const { webhook } = await events.createWebhook({ webhook: { url: "https://receiver.example" } });
  const { signedToken, token } = await system(TokenService).issueToken({ ref: refOf(0) });
  const { key } = await projects.createAccessKey({});
  const { user } = await users.suspendUser({ ref: refOf(0), suspension: { reason: "x" } });
  const { grant } = await system(SessionService).createSession({ credential: { case: "guest", value: {} } });
  const suspensionId = user?.suspensions[0]?.id ?? "";
  const credential = { SYSTEM: accessKey, OPERATOR: app.config.operatorKey, USER: signedToken, ANONYMOUS: undefined };
  return {
    things: {
      projectId,
      token: signedToken,
      tokenId: token?.id ?? "",
      keyId: key?.id ?? "",
      suspensionId,
      webhookId: webhook?.id ?? "",
      ...grantOf(grant),
    },
    client: (method) => app.client(method.parent, credential[principalOf(method)]) as unknown as Client<never>,
    ...{ auth, events, users, projects, presences: system(PresenceService) },
  };
}

const grantOf = (grant: Grant | undefined) => ({
  sessionId: grant?.session?.id ?? "",
  refreshToken: grant?.refreshToken ?? "",
});

/** As whom a method is called: who may most. */
function principalOf(method: DescMethod) {
  const { allow } = getOption(method, access);
  if (allow.includes(Access.SYSTEM)) return "SYSTEM";
  if (allow.includes(Access.OPERATOR)) return "OPERATOR";
  return allow.includes(Access.ANONYMOUS) ? "ANONYMOUS" : "USER";
}
const baseOf = (world: World, method: DescMethod, slot: number) =>
  requestOf(method, world.things, slot, principalOf(method) !== "SYSTEM");

type Outcome = { readonly answer: Message } | { readonly reason: string };

async function call(world: World, method: DescMethod, request: Init): Promise<Outcome> {
  const invoke = (world.client(method) as Record<string, unknown>)[method.localName] as (request: Init) => unknown;
  try {
    if (method.methodKind === "unary") return ofBatch((await invoke(request)) as Message);
    for await (const answer of invoke(request) as AsyncIterable<Message>) return { answer };
    return { reason: "no answer" };
  } catch (error) {
    return { reason: (await refusalOf(Promise.reject(error))).reason };
  }
}

/** A batch of one is answered as that one is. */
function ofBatch(answer: Message): Outcome {
  const [only] = (answer as { results?: BatchUpsertUsersResult[] }).results ?? [];
  const details = only?.error?.details ?? [];
  const reason = details.map((detail) => anyUnpack(detail, ErrorInfoSchema)?.reason).find(Boolean);
  return only?.error ? { reason: reason ?? only.error.message } : { answer };
}

/** What the server has of what an answer tells. */
async function stored(
  { users, presences, projects, auth, events }: World,
  answer: Message,
): Promise<[DescMethod, Message][]> {
  const { user, presence, project, key, definition, provider, identity, webhook } = answer as unknown as Record<
    string,
    { id: string; userId?: string } | undefined
  >;
  const [only] = (answer as { results?: { user?: { id: string }; presence?: { userId: string } }[] }).results ?? [];
  const set = presence ?? only?.presence;
  const userId = only?.user?.id ?? user?.id ?? (set ?? identity)?.userId;
  const ref = { ref: { case: "id" as const, value: userId ?? "" } };
  if (set) return [[PresenceService.method.getPresence, await presences.getPresence({ ref })]];
  if (identity) return [[ExternalAuthService.method.listIdentities, await auth.listIdentities({ ref })]];
  if (userId) return [[UserService.method.getUser, await users.getUser({ ref })]];
  if (project) {
    const projectId = project.id;
    return [[ProjectService.method.getProject, await app.operator(ProjectService).getProject({ projectId })]];
  }
  if (key) return [[ProjectService.method.listAccessKeys, await projects.listAccessKeys({})]];
  if (provider) return [[ExternalAuthService.method.getProvider, await auth.getProvider({ provider: provider.id })]];
  if (webhook) return [[EventService.method.listWebhooks, await events.listWebhooks({})]];
  if (definition) return [[UserService.method.listAttributeDefinitions, await users.listAttributeDefinitions({})]];
  return [];
}

/** Every string of an answer, and of the token in it. */
function told(method: DescMethod, answer: Message): Map<string, string[]> {
  const found = stringsIn(method.output, answer);
  const { signedToken } = answer as { signedToken?: string };
  if (!signedToken) return found;
  const claims = JSON.parse(String(Buffer.from(signedToken.split(".")[1] ?? "", "base64url")));
  found.set("muster.v1.claims.aud", [claims.aud].flat());
  structStrings(claims, "muster.v1.claims", (field, ...texts) =>
    found.set(field, [...(found.get(field) ?? []), ...texts]),
  );
  return found;
}

const REFUSALS =
  /^(REQUEST_INVALID|[A-Z_]+_(TAKEN|INVALID|NOT_FOUND|MISMATCH|WEAK)|MESSAGE_TOO_LARGE|CREDENTIALS_REJECTED)$/;

/** What became of a string in a place: "kept", "answered", or the reason it was refused for; anything else is a fault. */
async function fateIn(world: World, method: DescMethod, place: StringPlace, text: string, slot: number) {
  const outcome = await call(world, method, place.put(baseOf(world, method, slot), text));
  if ("reason" in outcome) return REFUSALS.test(outcome.reason) ? "refused" : `fails with ${outcome.reason}`;
  const fate = fateOf(place, method);
  if (fate === "asked" || fate === "ignored") return "answered";
  const field = typeof fate === "object" ? fate.keptAs : place.field;
  const answers = [[method, outcome.answer] as const, ...(await stored(world, outcome.answer))];
  const isTold = answers.every(([from, answer]) => told(from, answer).get(field)?.includes(text));
  return isTold ? "kept" : "changed";
}

/** Those that change the one thing that they all are about. */
const ONE_BY_ONE = ["UpdateProject", "UpdateProvider", "UpdateWebhook"];
/** How many calls a project takes of those that leave less for the next place: of keys, and of logins in two places. */
const MOST: Record<string, number> = {
  CreateWebhook: 12,
  CreateAccessKey: 90,
  CreateProvider: 45,
  LinkIdentity: 200,
  SignUp: 1_000,
};

async function fatesIn(given: World, method: DescMethod, place: StringPlace, strings: readonly string[]) {
  const atOnce = ONE_BY_ONE.includes(method.name) ? 1 : SLOTS;
  const each = MOST[method.name] ?? strings.length;
  const fates: string[] = [];
  let world = method.name in MOST ? await newWorld() : given;
  for (let from = 0; from < strings.length; from += atOnce) {
    if (from > 0 && Math.floor(from / each) > Math.floor((from - atOnce) / each)) world = await newWorld();
    const some = strings.slice(from, from + atOnce);
    fates.push(...(await Promise.all(some.map((text, slot) => fateIn(world, method, place, text, slot)))));
  }
  return fates;
}

/** The strings of a place: the places of one field share the list. */
function stringsFor(method: DescMethod, place: StringPlace): string[] {
  const alike = ALL.filter((it) => it.place.field === place.field);
  const index = alike.findIndex((it) => it.method === method && it.place.path === place.path);
  return NAUGHTY_STRINGS.filter((_, i) => i % alike.length === index);
}

/** Fields whose rules let nothing of the list through, or nothing of the part of it that a place is given. */
const NARROW = [
  "SignUp user.login",
  "muster.v1.AttributeDefinition.content_types",
  "muster.v1.AttributeValue.content_type",
  "muster.v1.FirebaseConfig.keys_uri",
  "muster.v1.HttpConfig.body",
  "muster.v1.HttpConfig.method",
  "muster.v1.HttpConfig.url",
  "muster.v1.Locator.value",
  "muster.v1.OidcConfig.issuer",
  "muster.v1.ProjectSettings.cors_origins",
  "muster.v1.SetAttributesRequest.attributes{key}",
  "muster.v1.SignUpRequest.email",
  "muster.v1.User.attributes{key}",
  "muster.v1.User.avatar_url",
  "muster.v1.User.email",
  "muster.v1.User.phone",
  "muster.v1.User.time_zone",
  "muster.v1.User.website",
  "muster.v1.Webhook.event_types",
  "muster.v1.Webhook.url",
];

/** A provider is one, and of one kind, for good. */
const NEVER_CHANGES = /^UpdateProvider provider\.(id|firebase|http)\b/;

test("every field that holds a string, of every request there is, says what becomes of it", () => {
  expect(ALL.filter(({ place, method }) => !fateOf(place, method)).map(({ place }) => place.field)).toEqual([]);
});

describe.each(CASES)("$name", async ({ method, places }) => {
  const world = await newWorld();

  test("is answered without them", async () => {
    const outcome = await call(world, method, baseOf(world, method, 0));
    expect("reason" in outcome ? outcome.reason : "answered").toBe(FAILS[method.name] ?? "answered");
  });

  test.each(places)("$path gives back each string as it was, or refuses it", { timeout: 120_000 }, async (place) => {
    const strings = stringsFor(method, place);
    const fates = await fatesIn(world, method, place, strings);
    const faults = fates.flatMap((fate, i) =>
      ["kept", "answered", "refused"].includes(fate) ? [] : [{ fate, string: JSON.stringify(strings[i]) }],
    );
    expect(faults).toEqual([]);
    const fate = fateOf(place, method);
    const name = `${method.name} ${place.path}`;
    const isNarrow = NARROW.includes(place.field) || NARROW.includes(name) || NEVER_CHANGES.test(name);
    const isKept = fate !== "asked" && fate !== "ignored" && !isNarrow;
    expect(isKept && !fates.includes("kept") ? "nothing is kept" : "").toBe("");
  });
});
