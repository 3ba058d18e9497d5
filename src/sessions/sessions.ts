import { createRecent } from "../recent.ts";
import type { AccessMemory } from "../revocations/revocations.ts";
import type { TokenInspection } from "../tokens/tokens.ts";
import type { ProjectScope } from "../users/users.ts";
import { authenticateSession, type KnownSession, type LiveSession } from "./authenticate-session.ts";
import { createBackground } from "./background.ts";
import { inspectSession } from "./inspect-session.ts";
import { createKeepAlive, type OpenSessions } from "./keep-alive.ts";
import type { ResetPorts } from "./request-password-reset.ts";

export { type Client, createGrant, type SessionPorts, type SignedIn } from "./create-grant.ts";

/** What the feature needs of the process. */
export interface SessionsOptions extends Omit<ResetPorts, "background"> {
  /** The sessions that streams are open in. */
  readonly openSessions: OpenSessions;
  readonly memory: AccessMemory;
}

/** The most sessions that are kept: some 10 MB. */
const MOST_KNOWN = 10_000;

/** The feature, made once per process: what its services stand on, and what others are handed of it. Disposing it ends what it runs. */
export interface Sessions extends SessionsOptions, ResetPorts, AsyncDisposable {
  /** The session of a session token, prolonged by the request; at once what is remembered of it. SESSION_NOT_FOUND, USER_SUSPENDED; STORAGE_UNAVAILABLE. */
  authenticate(token: string, signal?: AbortSignal): LiveSession | Promise<LiveSession>;
  /** Whether a session token is one of a project whose session goes on. */
  inspect(scope: ProjectScope, token: string): Promise<TokenInspection>;
}

/** Wires the feature. */
export function createSessions(options: SessionsOptions): Sessions {
  const keepAlive = createKeepAlive(options, options.openSessions);
  const background = createBackground(options.logger);
  const ports = { ...options, known: createRecent<KnownSession>(MOST_KNOWN) };
  return {
    ...options,
    background,
    authenticate: (token, signal) => authenticateSession(ports, token, { signal }),
    inspect: (scope, token) => inspectSession(ports, scope, token),
    async [Symbol.asyncDispose]() {
      await background[Symbol.asyncDispose]();
      await keepAlive[Symbol.asyncDispose]();
    },
  };
}
