import type { Config } from "./config.ts";
import { createClientAddress } from "./rpc/client-address.ts";
import { createAddressLimit } from "./rpc/limit-rate.ts";
import type { HttpRoute } from "./rpc/plain-http.ts";
import { jwksRoutes } from "./tokens/jwks-routes.ts";
import { type LogoutPorts, logoutRoutes } from "./tokens/logout-routes.ts";
import type { Tokens } from "./tokens/tokens.ts";
import { avatarRoutes } from "./users/avatar-routes.ts";
import type { Avatars } from "./users/avatars/avatars.ts";

/** How many requests for logout links an address may make in a second. */
const LOGOUTS_PER_SECOND = 10;

export interface PlainRoutePorts extends Pick<LogoutPorts, "publicUrl" | "announceEnd" | "announceEvents"> {
  readonly config: Pick<Config, "rateFactor" | "trustedProxies">;
  readonly tokens: Tokens & Pick<LogoutPorts, "logoutLinks">;
  readonly avatars: Avatars;
}

/** What the features serve beside the RPCs. */
export function plainRoutes({ config, tokens, avatars, ...ports }: PlainRoutePorts): HttpRoute[] {
  const limit = createAddressLimit(LOGOUTS_PER_SECOND, config.rateFactor);
  const clientAddress = createClientAddress(config.trustedProxies);
  const addressOf: LogoutPorts["addressOf"] = ({ peer, headers }) => clientAddress(peer, headers["x-forwarded-for"]);
  const charge: LogoutPorts["charge"] = (request) => limit(addressOf(request));
  const logout = logoutRoutes({ ...tokens, ...ports, addressOf, charge });
  return [...jwksRoutes(tokens), ...avatarRoutes(avatars.store), ...logout];
}
