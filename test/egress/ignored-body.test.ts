import { expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { startOutsideServer } from "../support/outside-server.ts";

const outside = await startOutsideServer();
using egress = createEgress({ allow: [outside.host] });

test("a body that says nothing to the caller is passed over, whatever its length and coding, and a short one leaves the connection of use", async () => {
  outside.answer = (_, response) => void response.writeHead(202, { "content-encoding": "gzip" }).end("x".repeat(1_000));
  for (let n = 0; n < 3; n++) {
    const answer = await egress.request(outside.url, { method: "POST", body: "x", ignoreBody: true });
    expect({ status: answer.status, length: answer.body.length }).toEqual({ status: 202, length: 0 });
  }
  expect(outside.connections()).toBe(1);
  outside.answer = (_, response) => void response.end(Buffer.alloc(1_000_000));
  expect((await egress.request(outside.url, { ignoreBody: true })).status).toBe(200);
  await expect(egress.request(outside.url)).rejects.toMatchObject({ kind: "TOO_LARGE" });
});
