import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startApp } from "../support/start-app.ts";

const { client, clock, project } = await startApp();
const me = { ref: { ref: { case: "me", value: true } } } as const;

test("a user's last-active time follows its calls to within a minute, and changes nothing else", async () => {
  const { system, signedInUser } = await project();
  const { id, token } = await signedInUser();
  const read = async () => {
    const { user } = await system(UserService).getUser({ ref: { ref: { case: "id", value: id } } });
    return { active: user?.lastActiveTime && timestampMs(user.lastActiveTime), etag: user?.etag };
  };
  const before = await read();
  expect(before.active).toBeUndefined();
  const called = clock.now();
  for (let i = 0; i < 20; i++) await client(UserService, token).getUser(me);
  await clock.advance(60_000);
  let after = await read();
  while (after.active === undefined) {
    await sleep(5);
    after = await read();
  }
  expect(after).toEqual({ active: called, etag: before.etag });
});
