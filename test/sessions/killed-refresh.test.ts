import pg from "pg";
import { expect, test } from "vitest";
import { connectionOptions } from "../../src/db/orm.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { RefreshOutcome, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { settingsFor, startMuster } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";

const address = await testDatabaseAddress();
const settings = settingsFor(address);
const operatorKey = settings["MUSTER_OPERATOR_KEY"] ?? "";

test("a server that is killed between a refresh and its answer costs nobody the session", async () => {
  const database = new pg.Client(connectionOptions(address));
  await database.connect();
  try {
    const one = await startMuster(settings);
    const { id: projectId } = await reach(one.url, operatorKey).project();
    const credential = { case: "guest", value: {} } as const;
    const { grant } = await reach(one.url, operatorKey).client(SessionService).createSession({ projectId, credential });
    const refreshToken = grant?.refreshToken ?? "";
    let used = 0;
    const poll = async () =>
      (await database.query("select refresh_counter from sessions where id = $1", [grant?.session?.id])).rows[0]
        ?.refresh_counter;
    const lost = reach(one.url, operatorKey).client(TokenService).refreshToken({ projectId, refreshToken });
    lost.catch(() => {});
    while (used === 0) used = Number(await poll());
    one.process.kill("SIGKILL");
    await one.outcome;
    const two = await startMuster(settings);
    const again = await reach(two.url, operatorKey).client(TokenService).refreshToken({ projectId, refreshToken });
    expect(again.outcome).toBe(RefreshOutcome.REPLAYED);
    const given = await lost.then(
      (answer) => answer.grant?.refreshToken,
      () => undefined,
    );
    // Of an answer that came through after all nothing is taken back.
    expect([undefined, again.grant?.refreshToken]).toContain(given);
    const next = again.grant?.refreshToken ?? "";
    const on = await reach(two.url, operatorKey).client(TokenService).refreshToken({ projectId, refreshToken: next });
    expect(on.outcome).toBe(RefreshOutcome.ROTATED);
  } finally {
    await database.end();
  }
});
