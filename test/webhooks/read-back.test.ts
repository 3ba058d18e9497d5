import { expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { startTestServer } from "../support/start-test-server.ts";
import { startReceiver } from "./delivery-fixture.ts";

const USERS = 10_000;
const BATCH = 20;
const WRITERS = 8;
const PATIENCE = { timeout: 480_000, interval: 200 };

test("whoever is told of a user can read it at once, from any server, in ten thousand of ten thousand times", {
  timeout: 600_000,
}, async () => {
  const db = await testDatabase();
  const receiver = await startReceiver();
  const settings = { address: db.address, config: { egressAllow: [receiver.host] } };
  const [first, second] = await Promise.all([startTestServer(settings), startTestServer(settings)]);
  const project = await first.project();
  const readers = [first, second].map((server) => server.client(UserService, project.accessKey));
  const found = new Map<string, string>();
  const faults: unknown[] = [];
  let told = 0;
  receiver.answer = ({ event }, response) => {
    const value = event.user_id ?? "";
    const reading = readers[told++ % 2]?.getUser({ ref: { ref: { case: "id", value } } });
    void reading
      ?.then(
        ({ user }) => found.set(value, user?.externalId ?? ""),
        (error: unknown) => faults.push(error),
      )
      .then(() => response.writeHead(204).end());
  };
  await project
    .system(EventService)
    .createWebhook({ webhook: { url: receiver.url, eventTypes: ["user.created"], maxConcurrency: 64 } });
  let next = 0;
  const write = async () => {
    while (next < USERS) {
      const users = Array.from({ length: BATCH }, () => ({ externalId: `user ${next++}` }));
      await readers[0]?.batchUpsertUsers({ users });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
  await expect.poll(() => found.size + faults.length, PATIENCE).toBe(USERS);
  expect(faults).toEqual([]);
  expect(new Set(found.values()).size).toBe(USERS);
});
