import type { SealedColumn } from "./db/sealed-column.ts";
import { SEALED_PROVIDER_HEADERS } from "./external-auth/providers/provider-row.ts";
import { SEALED_SEEDS } from "./sessions/create-grant.ts";
import { SEALED_SIGNING_KEYS } from "./tokens/create-signing-key.ts";
import { SEALED_TOKEN_CONTENT } from "./tokens/token-content.ts";
import { SEALED_LOCATOR_CODES } from "./users/locator-code.ts";
import { SEALED_WEBHOOK_SECRETS } from "./webhooks/webhook-secrets.ts";

/** Every column of every feature that is sealed: what is sealed anew when the encryption key is rotated. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  SEALED_SIGNING_KEYS,
  SEALED_SEEDS,
  SEALED_LOCATOR_CODES,
  SEALED_TOKEN_CONTENT,
  SEALED_PROVIDER_HEADERS,
  SEALED_WEBHOOK_SECRETS,
];
