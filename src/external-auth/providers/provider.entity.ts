import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** What a provider is checked by, and what it is called. Secrets stand apart, sealed. */
export interface StoredOidc {
  readonly issuer: string;
  /** Empty: only `audiences` count. */
  readonly clientId: string;
  readonly audiences: readonly string[];
}

export interface StoredFirebase {
  readonly firebaseProjectId: string;
  /** Empty: all. */
  readonly methods: readonly ("PHONE" | "EMAIL")[];
  /** Empty: Google's own. */
  readonly keysUri: string;
}

export interface StoredHttp {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly body: string;
  readonly response: StoredMapping;
}

/** JSON Pointers; empty: not told. */
export interface StoredMapping {
  readonly subject: string;
  readonly email: string;
  readonly emailVerified: string;
  readonly name: string;
  readonly login: string;
  readonly avatarUrl: string;
  readonly metadata: string;
  readonly active: string;
}

export type StoredConfig = StoredOidc | StoredFirebase | StoredHttp;

/** An identity provider of a project. */
export const ProviderEntity = defineEntity({
  name: "Provider",
  tableName: "providers",
  properties: {
    projectId: p.uuid().primary(),
    id: p.text().collation("C").primary(),
    kind: p.text().$type<"OIDC" | "FIREBASE" | "HTTP">(),
    config: p.json<StoredConfig>(),
    /** The headers of an HTTP provider as a JSON object, sealed; null: it has none. */
    sealedHeaders: p.blob().nullable(),
    displayName: p.text(),
    disabled: p.boolean(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
  },
  indexes: [
    {
      name: "providers_sealing",
      expression:
        "create index providers_sealing on providers (substring(sealed_headers from 1 for 5), project_id, id)",
    },
  ],
});
export type ProviderEntity = InferEntity<typeof ProviderEntity>;
