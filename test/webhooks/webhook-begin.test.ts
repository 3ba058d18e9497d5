import { expect, onTestFinished, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const { db } = app;

const upsertOf = (project: Awaited<ReturnType<typeof app.project>>) => (externalId: string) =>
  project.system(UserService).upsertUser({ externalId });

/** The external ids of the users whose `user.created` is the webhook's to send, as readers from its cursor on find them. */
async function begunWith(id: string): Promise<string[]> {
  const { rows } = await db.pool.query<{ id: string }>(
    `select e.data -> 'user' ->> 'external_id' as id from webhooks w join events e on e.project_id = w.project_id
      and (e.transaction_id, e.sequence) > (w.cursor_transaction_id, w.cursor_sequence)
      and not pg_visible_in_snapshot(coalesce(e.written_in, e.transaction_id), w.since)
     where w.id = $1 and e.type = 'user.created' order by e.transaction_id, e.sequence`,
    [id],
  );
  return rows.map((row) => row.id);
}

test("what had happened before a webhook was made is not its own, what happens after is, also what was under way", async () => {
  const project = await app.project();
  const upsert = upsertOf(project);
  const client = await db.pool.connect();
  onTestFinished(() => client.release());
  // A transaction that goes on: what commits beside it does not settle, and of what it writes itself the place is behind that.
  await client.query("begin");
  await client.query("select pg_current_xact_id()");
  await upsert("before");
  const write = (externalId: string) =>
    client.query(
      `insert into events (project_id, id, type, data, create_time)
       values ($1, gen_random_uuid(), 'user.created', jsonb_build_object('user', jsonb_build_object('external_id', $2::text)), now())`,
      [project.id, externalId],
    );
  await write("under way");
  const { webhook } = await project.system(EventService).createWebhook({ webhook: { url: "https://a.example" } });
  const id = webhook?.id ?? "";
  await upsert("after");
  await write("later");
  await client.query("commit");
  expect((await begunWith(id)).toSorted()).toEqual(["after", "later", "under way"]);
});

test("what happened while a webhook was disabled is not its own", async () => {
  const project = await app.project();
  const [upsert, events] = [upsertOf(project), project.system(EventService)];
  const { webhook } = await events.createWebhook({ webhook: { url: "https://a.example", disabled: true } });
  const id = webhook?.id ?? "";
  await upsert("meanwhile");
  await events.updateWebhook({ webhook: { id, disabled: false }, updateMask: { paths: ["disabled"] } });
  await upsert("since");
  expect(await begunWith(id)).toEqual(["since"]);
});
