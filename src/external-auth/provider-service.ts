import type { ServiceImpl } from "@connectrpc/connect";
import type { ExternalAuthService } from "../gen/muster/v1/external_auth_service_pb.ts";
import { scopeOf } from "../rpc/caller.ts";
import { newProviderOf, providerChangeOf, providerMessage } from "./provider-message.ts";
import { createProvider } from "./providers/create-provider.ts";
import { deleteProvider } from "./providers/delete-provider.ts";
import type { ProviderPorts } from "./providers/provider-ports.ts";
import { getProvider, listProviders } from "./providers/read-providers.ts";
import { updateProvider } from "./providers/update-provider.ts";

/** The part of ExternalAuthService that is about identity providers. */
type ProviderService = Pick<
  ServiceImpl<typeof ExternalAuthService>,
  "createProvider" | "getProvider" | "listProviders" | "updateProvider" | "deleteProvider"
>;

/** The RPCs about identity providers over their use cases. */
export function providerService(ports: ProviderPorts): ProviderService {
  return {
    async createProvider({ provider }, context) {
      return { provider: providerMessage(await createProvider(ports, scopeOf(context), newProviderOf(provider))) };
    },
    async getProvider({ provider: id }, context) {
      return { provider: providerMessage(await getProvider(ports, scopeOf(context), id)) };
    },
    async listProviders(_, context) {
      return { providers: (await listProviders(ports, scopeOf(context))).map(providerMessage) };
    },
    async updateProvider({ provider, updateMask }, context) {
      const change = providerChangeOf(provider, updateMask);
      return {
        provider: providerMessage(await updateProvider(ports, scopeOf(context), provider?.id ?? "", change)),
      };
    },
    async deleteProvider({ provider: id, force }, context) {
      await deleteProvider(ports, scopeOf(context), { id, force });
      return {};
    },
  };
}
