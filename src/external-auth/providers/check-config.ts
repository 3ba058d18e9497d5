import { checkUrl } from "../../egress/check-url.ts";
import type { Egress } from "../../egress/egress.ts";
import { invalid } from "../../errors.ts";
import { checkHttpConfig } from "./check-http-config.ts";
import type { ProviderConfig } from "./provider.ts";

/** Refuses a configuration that no credential could be checked by. REQUEST_INVALID with the field, below `provider`. */
export function checkConfig(config: ProviderConfig, egress: Egress): void {
  if (config.kind === "HTTP") return checkHttpConfig(config, egress);
  if (config.kind === "FIREBASE") {
    if (config.keysUri !== "") checkUrl("provider.firebase.keys_uri", config.keysUri, egress);
    return undefined;
  }
  checkUrl("provider.oidc.issuer", config.issuer, egress);
  // OpenID Connect Discovery 1.0 §3: the discovery document is found below it.
  if (config.issuer.includes("?")) throw invalid("provider.oidc.issuer", "must have no query");
  if (config.clientId === "" && config.audiences.length === 0)
    throw invalid("provider.oidc.client_id", "must be given, or audiences");
  return undefined;
}
