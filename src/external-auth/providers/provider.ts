import type { StoredFirebase, StoredHttp, StoredOidc } from "./provider.entity.ts";

/** Values are secrets. */
export type ProviderHeaders = Readonly<Record<string, string>>;

export type OidcConfig = { readonly kind: "OIDC" } & StoredOidc;
export type FirebaseConfig = { readonly kind: "FIREBASE" } & StoredFirebase;
export type HttpConfig = { readonly kind: "HTTP"; readonly headers: ProviderHeaders } & StoredHttp;

/** How a provider's credentials are checked. */
export type ProviderConfig = OidcConfig | FirebaseConfig | HttpConfig;

/** An identity provider of a project, its secrets open. */
export interface Provider<Config extends ProviderConfig = ProviderConfig> {
  readonly projectId: string;
  readonly id: string;
  readonly displayName: string;
  readonly disabled: boolean;
  readonly config: Config;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** What answers and requests have in place of a header's value that is not told. */
export const WITHHELD = "***";

/** What stands for the credential in the templates of an HTTP provider. */
export const PLACEHOLDER = "{credential}";
