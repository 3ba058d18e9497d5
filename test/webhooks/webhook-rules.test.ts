import { globSync, readFileSync } from "node:fs";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { file_muster_v1_event } from "../../src/gen/muster/v1/event_pb.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import type { WebhookPayload, WebhookSchema } from "../../src/gen/muster/v1/webhook_pb.ts";
import { areThereEvents } from "../../src/webhooks/event-types.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

type WebhookInit = MessageInitShape<typeof WebhookSchema>;

const ALLOWED = "http://127.0.0.1:9321/events";
const app = await startApp({ config: { egressAllow: ["127.0.0.1:9321"] } });
const events = (await app.project()).system(EventService);
const URL = "https://receiver.example";
const { webhook } = await events.createWebhook({ webhook: { url: URL } });
const id = webhook?.id ?? "";

const REFUSED: [what: string, field: string, given: WebhookInit][] = [
  ["no url", "webhook.url", { url: "" }],
  ["a url that is none", "webhook.url", { url: "receiver.example" }],
  ["a url of another scheme", "webhook.url", { url: "ftp://receiver.example" }],
  ["a url that is not https", "webhook.url", { url: "http://receiver.example" }],
  ["a url with credentials", "webhook.url", { url: "https://a:b@receiver.example" }],
  ["a url with a fragment", "webhook.url", { url: "https://receiver.example/#a" }],
  ["a url with a backslash", "webhook.url", { url: "https://receiver.example\\@evil.example" }],
  ["a url with a line break", "webhook.url", { url: "https://receiver.example/\n" }],
  ["a url that is not ASCII", "webhook.url", { url: "https://empfänger.example" }],
  ["a url at a private address", "webhook.url", { url: "https://10.0.0.1" }],
  ["a url at a private address in disguise", "webhook.url", { url: "https://0x7f.1/" }],
  ["a url where the cloud tells its secrets", "webhook.url", { url: "https://169.254.169.254/latest" }],
  ["a url of a local name", "webhook.url", { url: "https://localhost" }],
  ["a url at a port that is not allowed", "webhook.url", { url: "http://127.0.0.1:9322/events" }],
  ["a url that is too long", "webhook.url", { url: `${URL}/${"a".repeat(2_048)}` }],
  ["a description that is too long", "webhook.description", { description: "a".repeat(256) }],
  ["a type that is none", "webhook.event_types[0]", { eventTypes: ["User created"] }],
  ["a type that is misspelt", "webhook.event_types[1]", { eventTypes: ["user.created", "user.create"] }],
  ["a type with its dot elsewhere", "webhook.event_types[0]", { eventTypes: ["signing.key_rotated"] }],
  ["all types of what has none", "webhook.event_types[0]", { eventTypes: ["use.*"] }],
  ["all types", "webhook.event_types[0]", { eventTypes: ["*"] }],
  ["the same type twice", "webhook.event_types", { eventTypes: ["user.created", "user.created"] }],
  ["too many deliveries at once", "webhook.max_concurrency", { maxConcurrency: 65 }],
  ["fewer than none at once", "webhook.max_concurrency", { maxConcurrency: -1 }],
  ["a payload that is none", "webhook.payload", { payload: 9 as WebhookPayload }],
];

test.each(REFUSED)("a webhook with %s is neither made nor made of another", async (_, field, given) => {
  expect((await refusalOf(events.createWebhook({ webhook: { url: URL, ...given } }))).fields).toEqual([field]);
  const paths = Object.keys(given).map((name) => name.replace(/[A-Z]/g, (it) => `_${it.toLowerCase()}`));
  const change = events.updateWebhook({ webhook: { id, ...given }, updateMask: { paths } });
  expect((await refusalOf(change)).fields).toEqual([field]);
  expect((await events.listWebhooks({})).webhooks).toEqual([webhook]);
});

test("a webhook may be at a private address, and plain http, where the operator allows it", async () => {
  const project = (await app.project()).system(EventService);
  expect((await project.createWebhook({ webhook: { url: ALLOWED } })).webhook?.url).toBe(ALLOWED);
});

describe("the secret of a webhook", () => {
  test("is rotated with an overlap of a minute to 30 days, or with none", async () => {
    const rotate = (seconds: bigint, revokePrevious = false) =>
      events.rotateWebhookSecret({ webhookId: id, revokePrevious, previousTtl: { seconds } });
    for (const seconds of [0n, 59n, 2_592_001n])
      expect((await refusalOf(rotate(seconds))).fields).toEqual(["previous_ttl"]);
    expect((await refusalOf(rotate(60n, true))).fields).toEqual(["previous_ttl"]);
  });
});

test("every type of event that is written, and every one that the contract has a message for, can be asked for", async () => {
  const sources = globSync("src/**/*.ts").map((path) => readFileSync(path, "utf8"));
  const appending = sources.filter((text) => /append-event|appendEvent/.test(text));
  const written = appending.flatMap((text) =>
    [...text.matchAll(/(?:type: |event\()"([a-z_]+\.[a-z_]+)"/g)].map(([, type = ""]) => type),
  );
  expect(written).toEqual(expect.arrayContaining(["user.created", "user.suspension_lifted", "signing_key.rotated"]));
  const said = [...readFileSync("proto/muster/v1/event.proto", "utf8").matchAll(/\/\/ The data of `([a-z_.]+)`/g)];
  expect(said.length).toBe(file_muster_v1_event.messages.filter(({ name }) => /.Event$/.test(name)).length);
  const types = [...written, ...said.map(([, type = ""]) => type)];
  expect(types.filter((type) => !areThereEvents(type) || !areThereEvents(`${type.split(".")[0]}.*`))).toEqual([]);
});
