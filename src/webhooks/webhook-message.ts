import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, type FieldMask, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { invalid } from "../errors.ts";
import { etagOf } from "../etag.ts";
import type { RotateWebhookSecretRequest } from "../gen/muster/v1/event_service_pb.ts";
import {
  WebhookDisabledCause,
  type Webhook as WebhookMessage,
  WebhookPayload,
  WebhookSchema,
} from "../gen/muster/v1/webhook_pb.ts";
import type { WebhookSettings } from "./create-webhook.ts";
import { areThereEvents } from "./event-types.ts";
import type { WebhookChange } from "./update-webhook.ts";
import type { WebhookEntity } from "./webhook.entity.ts";

const DEFAULT_CONCURRENCY = 8;
const DEFAULT_OVERLAP_MS = 86_400_000;

/** A webhook as it goes on the wire: without its secrets. */
export const webhookMessage = (row: WebhookEntity): MessageInitShape<typeof WebhookSchema> => ({
  id: row.id,
  url: row.url,
  description: row.description,
  eventTypes: row.eventTypes,
  payload: WebhookPayload[row.payload],
  maxConcurrency: row.maxConcurrency,
  disabled: row.disabled,
  disabledCause: WebhookDisabledCause[row.disabledCause ?? "UNSPECIFIED"],
  ...timesOf(row),
  createTime: timestampFromDate(row.createTime),
  updateTime: timestampFromDate(row.updateTime),
  etag: etagOf(row.version),
});

const timesOf = ({ disabledTime, failingSince, previousSecretUntil }: WebhookEntity) => ({
  ...(disabledTime && { disabledTime: timestampFromDate(disabledTime) }),
  ...(failingSince && { failingSince: timestampFromDate(failingSince) }),
  ...(previousSecretUntil && { previousSecretExpireTime: timestampFromDate(previousSecretUntil) }),
});

/** The webhook a request gives, its defaults filled in. REQUEST_INVALID for an id, and for types that no event has. */
export function newWebhookOf(message: WebhookMessage | undefined): WebhookSettings {
  const given = message ?? create(WebhookSchema);
  if (given.id !== "") throw invalid("webhook.id", "is given by the server");
  return settingsOf(given);
}

/** By the names that a mask has for them. */
const FIELDS: Readonly<Record<string, keyof WebhookSettings>> = {
  url: "url",
  description: "description",
  event_types: "eventTypes",
  payload: "payload",
  max_concurrency: "maxConcurrency",
  disabled: "disabled",
};

/** The change a request asks for: what the mask names, or what is set. REQUEST_INVALID for a path that cannot be changed, or without an id. */
export function webhookChangeOf(message: WebhookMessage | undefined, mask: FieldMask | undefined): WebhookChange {
  const given = message ?? create(WebhookSchema);
  if (given.id === "") throw invalid("webhook.id", "must name the webhook");
  const paths = mask?.paths ?? [];
  const wrong = paths.find((path) => !Object.hasOwn(FIELDS, path));
  if (wrong !== undefined) throw invalid("update_mask", `${wrong} is not a field that can be changed`);
  const isNamed = (path: string, field: keyof WebhookSettings) =>
    paths.length > 0 ? paths.includes(path) : isSet(given[field]);
  const settings = settingsOf(given);
  const named = Object.entries(FIELDS).filter(([path, field]) => isNamed(path, field));
  return Object.fromEntries(named.map(([, field]) => [field, settings[field]]));
}

/** For how long the secret before signs beside the new one, in milliseconds; 0: not at all. REQUEST_INVALID where both are asked for. */
export function overlapOf({ revokePrevious, previousTtl }: RotateWebhookSecretRequest): number {
  if (!revokePrevious) return previousTtl ? durationMs(previousTtl) : DEFAULT_OVERLAP_MS;
  if (previousTtl) throw invalid("previous_ttl", "must be left out where revoke_previous is set");
  return 0;
}

const isSet = (value: WebhookMessage[keyof WebhookSettings]): boolean =>
  Array.isArray(value) ? value.length > 0 : Boolean(value);

function settingsOf({ url, description, eventTypes, payload, maxConcurrency, disabled }: WebhookMessage) {
  // Of a type that is misspelt nothing would ever come, and nobody would know why.
  const unknown = eventTypes.findIndex((pattern) => !areThereEvents(pattern));
  if (unknown >= 0) throw invalid(`webhook.event_types[${unknown}]`, "is not a type that events have");
  return {
    ...{ url, description, eventTypes, disabled },
    payload: payload === WebhookPayload.THIN ? ("THIN" as const) : ("FULL" as const),
    maxConcurrency: maxConcurrency || DEFAULT_CONCURRENCY,
  };
}
