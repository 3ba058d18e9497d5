import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { afterAll } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import type { ResolveName } from "../../src/egress/public-lookup.ts";
import { MusterError, type Reason } from "../../src/errors.ts";
import { createExternalProviders } from "../../src/external-auth/external-providers.ts";
import type { ProvenUser } from "../../src/external-auth/proven-user.ts";
import { createRemoteKeySets } from "../../src/external-auth/remote-key-sets.ts";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import type { ProviderSchema } from "../../src/gen/muster/v1/provider_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { createSealer } from "../../src/sealing.ts";
import { startApp } from "../support/start-app.ts";

export type ProviderInit = MessageInitShape<typeof ProviderSchema>;
export type ConfigInit = NonNullable<ProviderInit["config"]>;

/** Why a credential was refused: the reason that the caller is told, what the log says, and after how many seconds to come again. */
export interface Refused {
  readonly reason: Reason;
  readonly why: string;
  readonly retryAfter: number | undefined;
}

/** A project whose providers are asked whom credentials prove, and a log of what was said meanwhile. `resolve`: how names are resolved. */
export async function startProving(allow: readonly string[], resolve?: ResolveName) {
  const app = await startApp({ config: { egressAllow: [...allow] } });
  const { db, clock, config } = app;
  const logged: string[] = [];
  const logger: Logger = createLogger("trace", { write: (line) => void logged.push(line) });
  const egress = createEgress({ allow, clock, ...(resolve && { resolve }) });
  afterAll(() => egress[Symbol.dispose]());
  const keySets = createRemoteKeySets({ egress, clock, logger });
  const sealer = createSealer(config.encryptionKeys);
  const { proveUser } = createExternalProviders({ db, clock, logger, sealer, egress, keySets });
  const project = await app.project();
  const auth = project.system(ExternalAuthService);
  const prove = (provider: string, credential: string, nonce = "", signal?: AbortSignal): Promise<ProvenUser> =>
    proveUser({ projectId: project.id, ...(signal && { signal }) }, provider, { credential, nonce });
  let made = 0;
  return {
    ...{ app, auth, clock, logged, prove },
    /** Makes a provider, and gives its id. */
    async provider(config: ConfigInit): Promise<string> {
      made += 1;
      const { provider } = await auth.createProvider({ provider: { id: `p${made}`, config } as ProviderInit });
      return provider?.id ?? "";
    },
    /** What a credential is refused for. */
    refusal: (provider: string, credential: string, nonce?: string): Promise<Refused> =>
      refused(prove(provider, credential, nonce)),
  };
}

/** What a call is refused for. Throws if it is not. */
export async function refused(work: Promise<unknown>): Promise<Refused> {
  const error = await work.then(
    (value) => value,
    (failure: unknown) => failure,
  );
  if (!(error instanceof MusterError)) throw new Error(`not refused, but: ${JSON.stringify(error)} ${String(error)}`);
  const { cause, retryAfterMs } = error.extra;
  return {
    reason: error.reason,
    why: cause instanceof Error ? cause.message : "",
    retryAfter: retryAfterMs === undefined ? undefined : retryAfterMs / 1_000,
  };
}
