import type { DescService } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { type Reach, startTestServer } from "../support/start-test-server.ts";
import { outcomeOf } from "../tokens/token-fixture.ts";

const db = await testDatabase();
const { address } = db;
// No hint reaches anybody: sessions that begin from now on find this function before that of Postgres.
await db.pool.query(`
  create function public.pg_notify(text, text) returns void language sql as 'select';
  do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$`);
const SECOND_MS = 1_000;

/** Calls by a credential over and over: when each call that was answered began, and when the first was refused. */
async function callUntilRefused(server: Reach, credential: string) {
  const reached = { client: <S extends DescService>(service: S, sent?: string) => server.client(service, sent) };
  let lastAnswered = 0;
  for (;;) {
    const began = performance.now();
    if ((await outcomeOf(reached, credential)) !== "answered") return lastAnswered;
    lastAnswered = began;
  }
}

test("a second after an end was answered no call begins on any server that is let in, though every hint is lost", async () => {
  const one = await startTestServer({ address });
  const other = await startTestServer({ address, config: { encryptionKeys: one.config.encryptionKeys } });
  const project = await one.project();
  const users = project.system(UserService);
  const tokens = project.system(TokenService);
  const ends = [
    (id: string) => tokens.revokeUserTokens({ ref: { ref: { case: "id", value: id } } }),
    (id: string) => users.suspendUser({ ref: { ref: { case: "id", value: id } }, suspension: { blocksSignIn: true } }),
    (id: string) => users.deleteUser({ ref: { ref: { case: "id", value: id } } }),
  ];
  const late: number[] = [];
  for (const end of ends) {
    const guests = { projectId: project.id, credential: { case: "guest", value: {} } } as const;
    const { user, grant } = await one.client(SessionService).createSession(guests);
    const credentials = [grant?.sessionToken ?? "", grant?.accessToken ?? ""];
    const calls = [one, other].flatMap((server) => credentials.map((it) => callUntilRefused(server, it)));
    // Long enough that all are let in by what is known.
    await Promise.race([Promise.all(calls), new Promise((resolve) => setTimeout(resolve, 700))]);
    await end(user?.id ?? "");
    const ended = performance.now();
    late.push(...(await Promise.all(calls)).filter((began) => began - ended >= SECOND_MS));
  }
  expect(late).toEqual([]);
});
