import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const me = { ref: { ref: { case: "me", value: true } } } as const;

test("a user who calls too often is told when to try again; others and `.system` are not held up", async () => {
  const { client, project } = await startApp({ config: { rateFactor: 0.1 } });
  const { signedInUser, system } = await project();
  const [greedy, modest] = [await signedInUser("greedy"), await signedInUser("modest")];
  const calls = Array.from({ length: 30 }, () => client(UserService, greedy.token).getUser(me));
  const settled = await Promise.allSettled(calls);
  // Ten a second: more pass only where the calls took longer than that.
  const passed = settled.filter(({ status }) => status === "fulfilled").length;
  expect(passed).toBeGreaterThanOrEqual(10);
  expect(passed).toBeLessThan(30);
  const refused = calls[settled.findIndex(({ status }) => status === "rejected")];
  const { reason, retryAfter } = await refusalOf(refused ?? Promise.resolve());
  expect(reason).toBe("RATE_LIMITED");
  expect(retryAfter).toBeGreaterThan(0);
  expect(retryAfter).toBeLessThanOrEqual(1);
  expect((await client(UserService, modest.token).getUser(me)).user?.id).toBe(modest.id);
  const many = Array.from({ length: 50 }, () =>
    system(UserService).getUser({ ref: { ref: { case: "id", value: greedy.id } } }),
  );
  expect((await Promise.all(many)).length).toBe(50);
});
