import { randomUUID } from "node:crypto";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { CLIENT_ADDRESS } from "../../src/rpc/client-address.ts";
import { SERVICES } from "../../src/services.ts";
import { ALLOWED } from "../external-auth/identities-fixture.ts";
import { mailFolder } from "../support/mail-folder.ts";
import { REFUSED, recordChanges } from "../support/recorded-changes.ts";
import { startApp } from "../support/start-app.ts";
import type { AuditCase, Changed, World } from "./audit-cases/case.ts";
import { EXEMPT, QUIET } from "./audit-cases/exempt.ts";
import { PROJECT_CASES } from "./audit-cases/project-cases.ts";
import { SIGN_IN_CASES } from "./audit-cases/sign-in-cases.ts";
import { USER_CASES } from "./audit-cases/user-cases.ts";

const { dataDir, mailsTo } = await mailFolder();
const app = await startApp({ config: { ...ALLOWED, dataDir, passwordResetUrl: "https://app.example/#{token}" } });
const { db } = app;
const changes = await recordChanges(db);

const METHODS = SERVICES.flatMap((service) => [...service.methods]);
const CASES = { ...USER_CASES, ...SIGN_IN_CASES, ...PROJECT_CASES };
/** The method of a case, `ChangePassword of somebody` being one of ChangePassword. */
const nameOf = (title: string) => title.split(" ")[0] ?? "";

/** The words of a caller that a trusted proxy and an authenticated credential stand for. */
const ADDRESS = "198.51.100.7";
const ORIGIN = "crm-sync";

/** An audit entry, with the transaction it was written in. */
interface Entry {
  readonly transactionId: string;
  readonly userId: string | null;
  readonly target: string | null;
  readonly [fact: string]: unknown;
}

/** What was written since the last time it was asked: entries, and the origins of events. */
async function written() {
  const entries = await db.pool.query<Entry>(
    `select project_id as "projectId", transaction_id::text as "transactionId", method, actor_kind as "actorKind", actor_id as "actorId",
       host(address::inet) as address, request_id as "requestId", origin, user_id as "userId", target
     from audit_entries where sequence > $1 order by sequence`,
    [seen.entries],
  );
  const events = await db.pool.query<{ origin: string | null; transactionId: string }>(
    `select origin, written_in::text as "transactionId" from events where sequence > $1`,
    [seen.events],
  );
  return { entries: entries.rows, events: events.rows };
}

const seen = { entries: 0, events: 0 };

/** Has what follows begin anew. */
async function forget(): Promise<void> {
  await changes.take();
  for (const [key, table] of [
    ["entries", "audit_entries"],
    ["events", "events"],
  ] as const) {
    const { rows } = await db.pool.query(`select coalesce(max(sequence), 0)::int as last from ${table}`);
    seen[key] = Math.max(seen[key], rows[0].last);
  }
}

async function newWorld(): Promise<World> {
  return { app, project: await app.project(), mailsTo };
}

/** Who calls, as an entry names it. */
async function callerOf({ as }: AuditCase, { project }: World) {
  if (as === "anonymous") return { actorKind: "anonymous", actorId: null, credential: undefined };
  if (as === "operator") return { actorKind: "operator", actorId: null, credential: app.config.operatorKey };
  if (as) return { actorKind: "user", actorId: as.id, credential: as.credential };
  const { keys } = await project.system(ProjectService).listAccessKeys({});
  return { actorKind: "system", actorId: keys[0]?.id ?? "", credential: project.accessKey };
}

/** Makes clients whose calls come from an address, as those of a port do. */
function clients(credential: string | undefined, requestId: string, origin: string | null) {
  const send: Interceptor = (next) => (request) => {
    if (credential) request.header.set("authorization", `Bearer ${credential}`);
    if (origin) request.header.set("muster-origin", origin);
    request.header.set("x-request-id", requestId);
    return next(request);
  };
  const locate: Interceptor = (next) => (request) => {
    request.contextValues.set(CLIENT_ADDRESS, ADDRESS);
    return next(request);
  };
  const router = { interceptors: [locate, ...app.app.interceptors] };
  const transport = createRouterTransport(app.app.routes, { router, transport: { interceptors: [send] } });
  return (service: Parameters<typeof createClient>[0]) => createClient(service, transport) as never;
}

const placeOf = ({ userId, target }: Pick<Entry, "userId" | "target">) => `${userId} ${target}`;
const sorted = <T extends Pick<Entry, "userId" | "target">>(entries: readonly T[]) =>
  entries.toSorted((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1));
const transactionsOf = (rows: readonly { readonly transactionId: string }[]) =>
  [...new Set(rows.map(({ transactionId }) => transactionId))].toSorted();

test("every RPC that may change something leaves entries, or stands in the list of those that do not", () => {
  const named = [...Object.keys(CASES).map(nameOf), ...Object.keys(EXEMPT)];
  const mayChange = METHODS.filter(({ idempotency }) => idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS);
  expect([...new Set(named)].toSorted()).toEqual(mayChange.map(({ name }) => name).toSorted());
});

describe.each(Object.entries(CASES))("%s", (title, caseOf) => {
  test("leaves its entries in the transactions of its changes, and changes nothing without them", async () => {
    const world = await newWorld();
    const it = await caseOf(world);
    const { credential, ...actor } = await callerOf(it, world);
    const origin = actor.actorKind === "system" || actor.actorKind === "operator" ? ORIGIN : null;
    await forget();
    const refused = it.call(clients(credential, `${REFUSED}${randomUUID()}`, origin));
    const outcome = await refused.then(
      () => "answered",
      (error) => ConnectError.from(error).code,
    );
    expect(outcome).toBe(it.isLate ? "answered" : Code.Internal);
    expect([await changes.take(), await written()]).toEqual([[], { entries: [], events: [] }]);

    const requestId = randomUUID();
    const answer = await it.call(clients(credential, requestId, origin));
    const method = METHODS.find(({ name }) => name === nameOf(title));
    const call = { method: `${method?.parent.name}/${method?.name}`, ...actor, address: ADDRESS, requestId, origin };
    const entryOf = ({ projectId = world.project.id, userId = null, target = null }: Changed) => ({
      ...{ projectId, userId, target },
      ...call,
    });
    const expected = sorted((await it.changed(answer)).map((changed) => entryOf(changed)));
    const found = async () =>
      sorted((await written()).entries.map((entry) => ({ ...entry, transactionId: undefined })));
    await expect.poll(found).toEqual(expected);

    const { entries, events } = await written();
    const transactions = transactionsOf(entries);
    const changedIn = transactionsOf(await changes.take());
    expect(it.afterwards ? changedIn.filter((id) => transactions.includes(id)) : changedIn).toEqual(transactions);
    expect(transactions).toEqual(expect.arrayContaining(transactionsOf(events)));
    expect(events.filter((event) => event.origin !== origin)).toEqual([]);
    if (it.repeats !== "nothing") return;
    await forget();
    await it.call(clients(credential, randomUUID(), origin)).catch(() => {});
    expect([await changes.take(), await written()]).toEqual([[], { entries: [], events: [] }]);
  });
});

describe.each(Object.entries({ ...EXEMPT, ...QUIET }))("%s", (_, { prepare }) => {
  test("leaves no entry, and changes nothing that history is kept of", async () => {
    const call = await prepare(await newWorld());
    await forget();
    await call().catch(() => {});
    expect([await changes.take(), await written()]).toEqual([[], { entries: [], events: [] }]);
  });
});
