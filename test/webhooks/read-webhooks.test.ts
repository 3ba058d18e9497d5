import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { getWebhook } from "../../src/webhooks/read-webhooks.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();

test("a webhook that is not there is not found", async () => {
  await expect(getWebhook(db, { projectId: randomUUID() }, randomUUID())).rejects.toMatchObject({
    reason: "WEBHOOK_NOT_FOUND",
  });
});
