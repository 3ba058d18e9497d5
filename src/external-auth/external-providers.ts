import type { Logger } from "../logger.ts";
import { createDiscovery } from "./discovery.ts";
import { createHttpGates } from "./http-credential.ts";
import { createProviderDirectory } from "./providers/provider-directory.ts";
import type { ProviderPorts } from "./providers/provider-ports.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";
import { createProveUser, type ProveUser } from "./verify-credential.ts";

export interface ExternalProvidersOptions extends Omit<ProviderPorts, "providers"> {
  readonly logger: Logger;
  readonly keySets: RemoteKeySets;
}

/** The identity providers of projects: what their RPCs stand on, and whom their credentials prove. */
export interface ExternalProviders extends ProviderPorts {
  readonly proveUser: ProveUser;
}

/** Wires them: what is asked of providers leaves by `egress`, and is remembered for as long as this process runs. */
export function createExternalProviders(options: ExternalProvidersOptions): ExternalProviders {
  const { db, clock, sealer } = options;
  const providers = createProviderDirectory(db, clock, sealer);
  const ports = { ...options, providers, discovery: createDiscovery(options), gates: createHttpGates(clock) };
  return { ...ports, proveUser: createProveUser(ports) };
}
