import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { holdUsers } from "../support/held-user.ts";
import { refusalOf } from "../support/refusal.ts";
import { PROTOCOLS, type Protocol, startTestServer } from "../support/start-test-server.ts";
import { connectOutcome } from "./edge-outcomes.ts";

const address = await testDatabaseAddress();

/** A server, and its user whose row another transaction holds. */
async function heldUser(protocol: Protocol) {
  const server = await startTestServer({ address });
  const project = await server.project();
  const users = server.client(UserService, project.accessKey, protocol);
  await users.upsertUser({ externalId: "held", user: { name: "Before" } });
  const nameNow = async () => {
    const { user } = await users.getUser({ ref: { ref: { case: "externalId", value: "held" } } });
    return user?.name;
  };
  return { server, project, users, nameNow, ...(await holdUsers(address, project.id)) };
}

const CHANGE = { externalId: "held", user: { name: "After" } };

describe.each(PROTOCOLS)("%s:", (protocol) => {
  test("a deadline that passes cancels the statement in the database", async () => {
    const { users, waiting, release, nameNow } = await heldUser(protocol);
    const outcome = users.upsertUser(CHANGE, { timeoutMs: 1_000 }).catch(ConnectError.from);
    await expect.poll(waiting).toBe(1);
    expect(await outcome).toMatchObject({ code: Code.DeadlineExceeded });
    await expect.poll(waiting).toBe(0);
    await release();
    expect(await nameNow()).toBe("Before");
  });

  test("a caller that gives up cancels the statement in the database", async () => {
    const { users, waiting, release, nameNow } = await heldUser(protocol);
    const left = new AbortController();
    const outcome = users.upsertUser(CHANGE, { signal: left.signal }).catch(ConnectError.from);
    await expect.poll(waiting).toBe(1);
    left.abort();
    expect(await outcome).toMatchObject({ code: Code.Canceled });
    await expect.poll(waiting).toBe(0);
    await release();
    expect(await nameNow()).toBe("Before");
  });
});

test("the server tells a caller that waits longer than it said that the deadline passed", async () => {
  const { server, project, waiting } = await heldUser("gRPC");
  const answer = await fetch(`${server.url}/muster.v1.UserService/UpsertUser`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${project.accessKey}`,
      "connect-timeout-ms": "500",
    },
    body: JSON.stringify(CHANGE),
  });
  expect(connectOutcome((await answer.json()) as object)).toMatchObject({
    code: "deadline_exceeded",
    reason: "DEADLINE_EXCEEDED",
  });
  await expect.poll(waiting).toBe(0);
});

test("a call whose row stays held is told to come again, and may then succeed", async () => {
  const { users, release } = await heldUser("gRPC");
  const refusal = await refusalOf(users.upsertUser(CHANGE));
  expect(refusal.reason).toBe("STORAGE_UNAVAILABLE");
  expect(refusal.retryAfter).toBeGreaterThan(0);
  await release();
  expect((await users.upsertUser(CHANGE)).user?.name).toBe("After");
});
