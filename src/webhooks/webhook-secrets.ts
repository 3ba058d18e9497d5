import { randomBytes } from "node:crypto";
import type { SealedColumn } from "../db/sealed-column.ts";
import type { Sealer } from "../sealing.ts";

/** Standard Webhooks asks for 24 to 64. */
const SECRET_BYTES = 32;

const sealContext = (projectId: string, id: string) => ({ purpose: "webhook-secrets", projectId, id }) as const;

export const SEALED_WEBHOOK_SECRETS: SealedColumn = {
  table: "webhooks",
  column: "sealed_secrets",
  key: ["project_id", "id"],
  contextOf: ({ project_id: projectId = "", id = "" }) => sealContext(projectId, id),
};

/** Whose secrets, and how they are kept. */
export interface KeptSecrets {
  readonly projectId: string;
  readonly id: string;
  readonly sealedSecrets: Uint8Array;
  /** Until when the second one signs. */
  readonly previousSecretUntil?: Date | null | undefined;
}

/** A new secret: 256 random bits. */
export const newWebhookSecret = (): Buffer => randomBytes(SECRET_BYTES);

/** A secret as its receiver is given it, and as the libraries of Standard Webhooks take it. */
export const webhookSecretText = (secret: Uint8Array): string => `whsec_${Buffer.from(secret).toString("base64")}`;

/** Seals the secret that signs and, if it still does, the one before. */
export function sealWebhookSecrets(
  sealer: Sealer,
  projectId: string,
  id: string,
  secrets: readonly Uint8Array[],
): Buffer {
  const texts = secrets.map((secret) => Buffer.from(secret).toString("base64"));
  return sealer.seal(Buffer.from(JSON.stringify(texts)), sealContext(projectId, id));
}

/** The secrets that a request which leaves at `nowMs` is signed with: the current one and, as long as the overlap lasts, the one before. */
export function webhookSecrets(sealer: Sealer, kept: KeptSecrets, nowMs: number): readonly [Buffer, ...Buffer[]] {
  const { projectId, id, sealedSecrets, previousSecretUntil } = kept;
  const texts = JSON.parse(sealer.open(sealedSecrets, sealContext(projectId, id)).toString()) as [string, ...string[]];
  const [current, previous] = texts.map((text) => Buffer.from(text, "base64")) as [Buffer, Buffer?];
  return previous && previousSecretUntil && nowMs < previousSecretUntil.getTime() ? [current, previous] : [current];
}
