import type { EntitySchema } from "@mikro-orm/core";
import { AuditEntryEntity } from "./audit/audit-entry.entity.ts";
import { AuditSealEntity } from "./audit/audit-seal.entity.ts";
import { EventEntity } from "./events/event.entity.ts";
import { IdentityEntity } from "./external-auth/identities/identity.entity.ts";
import { ExternalKeyEntity } from "./external-auth/keys/external-key.entity.ts";
import { ProviderEntity } from "./external-auth/providers/provider.entity.ts";
import { PresenceEntity } from "./presence/presence.entity.ts";
import { AccessKeyEntity } from "./projects/access-key.entity.ts";
import { ProjectEntity } from "./projects/project.entity.ts";
import { SigningKeyEntity } from "./tokens/signing-key.entity.ts";
import { TokenEntity } from "./tokens/token.entity.ts";
import { AttributeDefinitionEntity } from "./users/attribute-definition.entity.ts";
import { LocatorCodeEntity } from "./users/locator-code.entity.ts";
import { DeletedUserEntity, UserEntity } from "./users/user.entity.ts";
import { WebhookEntity } from "./webhooks/webhook.entity.ts";

/** Every entity of every feature: what MikroORM is opened with. */
export const ENTITIES: EntitySchema[] = [
  ProjectEntity,
  AccessKeyEntity,
  UserEntity,
  DeletedUserEntity,
  LocatorCodeEntity,
  AttributeDefinitionEntity,
  EventEntity,
  AuditEntryEntity,
  AuditSealEntity,
  SigningKeyEntity,
  TokenEntity,
  PresenceEntity,
  ExternalKeyEntity,
  ProviderEntity,
  IdentityEntity,
  WebhookEntity,
];
