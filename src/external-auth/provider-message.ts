import { create } from "@bufbuild/protobuf";
import { type FieldMask, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { invalid } from "../errors.ts";
import {
  FirebaseConfigSchema,
  type FirebaseConfig as FirebaseMessage,
  FirebaseMethod,
  HttpConfigSchema,
  type HttpConfig as HttpMessage,
  HttpResponseMappingSchema,
  OidcConfigSchema,
  type Provider as ProviderMessage,
  ProviderSchema,
} from "../gen/muster/v1/provider_pb.ts";
import type { NewProvider } from "./providers/create-provider.ts";
import {
  type FirebaseConfig,
  type HttpConfig,
  type Provider,
  type ProviderConfig,
  WITHHELD,
} from "./providers/provider.ts";
import { DEFAULT_BODY } from "./providers/request-form.ts";
import type { ProviderChange } from "./providers/update-provider.ts";

const METHODS = { PHONE: FirebaseMethod.PHONE, EMAIL: FirebaseMethod.EMAIL } as const;
const FIREBASE_METHODS = Object.keys(METHODS) as (keyof typeof METHODS)[];

/** A provider as it goes on the wire: without its secrets. */
export const providerMessage = ({ id, displayName, disabled, config, createTime, updateTime }: Provider) =>
  create(ProviderSchema, {
    id,
    displayName,
    disabled,
    config: configMessage(config),
    createTime: timestampFromDate(createTime),
    updateTime: timestampFromDate(updateTime),
  });

function configMessage(config: ProviderConfig): ProviderMessage["config"] {
  if (config.kind === "HTTP") return { case: "http", value: httpMessage(config) };
  if (config.kind === "FIREBASE") return { case: "firebase", value: firebaseMessage(config) };
  const { issuer, clientId, audiences } = config;
  return { case: "oidc", value: create(OidcConfigSchema, { issuer, clientId, audiences: [...audiences] }) };
}

const firebaseMessage = ({ firebaseProjectId, methods, keysUri }: FirebaseConfig) =>
  create(FirebaseConfigSchema, { firebaseProjectId, methods: methods.map((method) => METHODS[method]), keysUri });

const httpMessage = ({ url, method, headers, body, response }: HttpConfig) =>
  create(HttpConfigSchema, {
    url,
    method,
    headers: Object.fromEntries(Object.keys(headers).map((name) => [name, WITHHELD])),
    body,
    response: create(HttpResponseMappingSchema, response),
  });

/** The provider a request gives, its defaults filled in. REQUEST_INVALID without a configuration. */
export function newProviderOf(message: ProviderMessage | undefined): NewProvider {
  const { id, displayName, disabled, config } = message ?? create(ProviderSchema);
  const read = configOf(config);
  if (!read) throw invalid("provider.config", "exactly one of oidc, firebase and http must be given");
  return { id, displayName, disabled, config: read };
}

/** The change a request asks for: what the mask names, or what is set. REQUEST_INVALID for a path that cannot be changed. */
export function providerChangeOf(message: ProviderMessage | undefined, mask: FieldMask | undefined): ProviderChange {
  const { displayName, disabled, config } = message ?? create(ProviderSchema);
  const paths = mask?.paths ?? [];
  if (paths.length === 0)
    return { displayName: displayName || undefined, disabled: disabled || undefined, config: configOf(config) };
  for (const path of paths) checkPath(path, config.case);
  const isNamed = (path: string) => paths.includes(path);
  return {
    displayName: isNamed("display_name") ? displayName : undefined,
    disabled: isNamed("disabled") ? disabled : undefined,
    config: config.case !== undefined && isNamed(config.case) ? configOf(config) : undefined,
  };
}

function checkPath(path: string, given: ProviderMessage["config"]["case"]): void {
  if (["display_name", "disabled"].includes(path)) return;
  if (!["oidc", "firebase", "http"].includes(path))
    throw invalid("update_mask", `${path} is not a field that can be changed`);
  if (path !== given) throw invalid(`provider.${path}`, "must be given, as update_mask names it");
}

function configOf({ case: kind, value }: ProviderMessage["config"]): ProviderConfig | undefined {
  if (kind === undefined) return undefined;
  if (kind === "http") return httpOf(value);
  if (kind === "firebase") return firebaseOf(value);
  const { issuer, clientId, audiences } = value;
  return { kind: "OIDC", issuer, clientId, audiences };
}

const firebaseOf = ({ firebaseProjectId, methods, keysUri }: FirebaseMessage): FirebaseConfig => ({
  kind: "FIREBASE",
  firebaseProjectId,
  methods: FIREBASE_METHODS.filter((name) => methods.includes(METHODS[name])),
  keysUri,
});

function httpOf({ url, method, headers, body, response }: HttpMessage): HttpConfig {
  const { $typeName: _, ...pointers } = response ?? create(HttpResponseMappingSchema);
  const isGet = method === "GET";
  return {
    kind: "HTTP",
    url,
    method: isGet ? "GET" : "POST",
    headers,
    body: body || (isGet ? "" : DEFAULT_BODY),
    response: {
      subject: pointers.subject,
      email: pointers.email,
      emailVerified: pointers.emailVerified,
      name: pointers.name,
      login: pointers.login,
      avatarUrl: pointers.avatarUrl,
      metadata: pointers.metadata,
      active: pointers.active,
    },
  };
}
