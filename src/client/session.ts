import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { type Clock, systemClock } from "../clock.ts";
import type { Grant } from "../gen/muster/v1/session_pb.ts";
import { SessionService } from "../gen/muster/v1/session_service_pb.ts";
import { isMissing, isOver } from "./call-errors.ts";
import { refreshGrant } from "./refresh-grant.ts";
import { type SessionState, stateOf } from "./session-state.ts";
import { aloneTab, createTabs, type TabMessage, type Tabs } from "./tabs.ts";

export type { Grant } from "../gen/muster/v1/session_pb.ts";
export type { SessionState } from "./session-state.ts";

/**
 * What to do when a session is over and cannot be refreshed. `retry` takes the grant of a new sign-in and replays, once, the calls that
 * failed; `handle` lets them fail, with the error given or their own. Called once however many calls failed meanwhile.
 */
export type SessionExpired = (handle: (error?: unknown) => void, retry: (grant: Grant) => void) => void;

export interface SessionOptions {
  /**
   * What refreshing and signing out go through: a transport to Muster without the interceptor. With `cookies`, one whose
   * requests carry cookies (`fetch` with `credentials: "include"`).
   */
  readonly transport: Transport;
  readonly projectId: string;
  /** Leaves the refresh token to the browser, as a cookie that no script reads. Sign in with `cookie_only`. Default: false. */
  readonly cookies?: boolean;
  /** Whether the tabs of the browser share the session. Default: in pages, not in services. */
  readonly shareTabs?: boolean;
  readonly sessionExpired?: SessionExpired;
  /** Is told of each change, in this tab or another; undefined: signed out. */
  readonly onChange?: (state: SessionState | undefined) => void;
  /** For tests. */
  readonly clock?: Clock;
}

/** A user's session in an app: puts the access token on calls, refreshes it before it ends, once for all calls and tabs. */
export interface Session extends Disposable {
  /** For the transport that the app's own calls go through. */
  readonly interceptor: Interceptor;
  /** What is signed in to now. */
  readonly state: SessionState | undefined;
  /** Takes the grant of a sign-in. */
  use(grant: Grant): void;
  /** Finds the session of another tab or, with `cookies`, the one the browser has kept. Says whether there is one. */
  restore(): Promise<boolean>;
  /** Ends the session on the server, and in all tabs even if that cannot be reached: then the error is thrown after. */
  signOut(): Promise<void>;
}

/** An access token is refreshed when it has less than this left: longer than a call takes. */
const MARGIN_MS = 30_000;
/** How long signing out waits for the server. */
const SIGN_OUT_MS = 5_000;
/** How long another tab may take to tell what it has. */
const TAB_ANSWER_MS = 200;

/** What came of asking the app: what it has signed in to, or what its calls fail with (undefined: their own error). */
type Outcome = { readonly state: SessionState } | { readonly reason: unknown };

/** Makes a session that nobody is signed in to yet. */
export function createSession(options: SessionOptions): Session {
  return new ClientSession(options);
}

class ClientSession implements Session {
  readonly interceptor: Interceptor;
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #tabs: Tabs<SessionState>;
  readonly #waiting = new Set<() => void>();
  #state: SessionState | undefined;
  #refreshing: Promise<SessionState> | undefined;
  /** What is over and could not be refreshed, and what the app was asked to do about it: once, however many calls it fails. */
  #expiry: { readonly of: SessionState; readonly outcome: Promise<Outcome> } | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const share = options.shareTabs ?? "document" in globalThis;
    this.#tabs = share
      ? createTabs(`muster-session-${options.projectId}`, (message) => this.#hear(message))
      : aloneTab<SessionState>();
    this.interceptor = this.#intercept();
  }

  get state(): SessionState | undefined {
    return this.#state;
  }

  use(grant: Grant): void {
    this.#take(grant);
  }

  async restore(): Promise<boolean> {
    this.#tabs.post({ kind: "ask" });
    if (!this.#state) await this.#changed();
    if (!this.#state && this.#options.cookies)
      await this.#refresh(undefined).catch((error: unknown) => {
        if (!isOver(error)) throw error;
      });
    return this.#state !== undefined;
  }

  async signOut(): Promise<void> {
    const state = this.#state;
    if (!state) return;
    try {
      await this.#end(state).catch(async (error: unknown) => {
        if (!isOver(error)) throw error;
        // The access token may have ended by itself while the session goes on.
        await this.#end(await this.#refresh(state));
      });
    } catch (error) {
      // A session that is over is signed out of.
      if (!isOver(error)) throw error;
    } finally {
      this.#forget();
    }
  }

  async #end({ sessionId, accessToken }: SessionState): Promise<void> {
    const headers = { authorization: `Bearer ${accessToken}` };
    await createClient(SessionService, this.#options.transport).deleteSession(
      { sessionId },
      { headers, timeoutMs: SIGN_OUT_MS },
    );
  }

  [Symbol.dispose](): void {
    this.#tabs[Symbol.dispose]();
  }

  #intercept(): Interceptor {
    return (next) => async (request) => {
      const sent = await this.#current();
      if (sent) request.header.set("authorization", `Bearer ${sent.accessToken}`);
      // What a stream has told already cannot be replayed: who opened it opens it again.
      if (request.stream) return next(request);
      try {
        return await next(request);
      } catch (error) {
        const { accessToken } = await this.#renew(sent, error);
        request.header.set("authorization", `Bearer ${accessToken}`);
        return await next(request);
      }
    };
  }

  /** What to send now. While it cannot be refreshed, an access token is used to its end. */
  async #current(): Promise<SessionState | undefined> {
    const state = this.#state;
    if (!state || state.accessExpiresAt - MARGIN_MS > this.#clock.now()) return state;
    try {
      return await this.#refresh(state);
    } catch (error) {
      if (isOver(error)) return await this.#expired(state, error);
      if (state.accessExpiresAt > this.#clock.now()) return state;
      throw error;
    }
  }

  /** What to send instead of what was refused. Throws the error of the call unless that is for the session to mend. */
  async #renew(sent: SessionState | undefined, error: unknown): Promise<SessionState> {
    if (!sent && isMissing(error) && this.#expiry) return await this.#expired(this.#expiry.of, error);
    if (!sent || !isOver(error)) throw error;
    if (this.#state && this.#state !== sent) return this.#state;
    if (this.#expiry?.of === sent) return await this.#expired(sent, error);
    try {
      return await this.#refresh(sent);
    } catch (refusal) {
      if (!isOver(refusal)) throw refusal;
      return await this.#expired(sent, error);
    }
  }

  #refresh(old: SessionState | undefined): Promise<SessionState> {
    this.#refreshing ??= this.#tabs
      .exclusively((waited) => this.#refreshAlone(old, waited))
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  async #refreshAlone(old: SessionState | undefined, waited: boolean): Promise<SessionState> {
    if (waited && this.#state === old) {
      // The tab that was at it has told of it, but a lock may travel faster than a message.
      this.#tabs.post({ kind: "ask" });
      await this.#changed();
    }
    if (this.#state && this.#state !== old) return this.#state;
    const { transport, projectId, cookies = false } = this.#options;
    const token = { projectId, refreshToken: old?.refreshToken ?? "", cookieOnly: cookies };
    try {
      return this.#take(await refreshGrant(transport, token, this.#clock));
    } catch (error) {
      if (isOver(error)) this.#forget();
      throw error;
    }
  }

  /** Has the app sign in anew. */
  async #expired(of: SessionState, error: unknown): Promise<SessionState> {
    const { sessionExpired } = this.#options;
    if (!sessionExpired) throw error;
    if (this.#expiry?.of !== of) this.#expiry = { of, outcome: this.#ask(sessionExpired) };
    const outcome = await this.#expiry.outcome;
    if ("state" in outcome) return outcome.state;
    throw outcome.reason ?? error;
  }

  #ask(sessionExpired: SessionExpired): Promise<Outcome> {
    return new Promise((resolve) => {
      sessionExpired(
        (reason) => resolve({ reason }),
        (grant) => resolve({ state: this.#take(grant) }),
      );
    });
  }

  #hear(message: TabMessage<SessionState>): void {
    if (message.kind === "have") this.#change(message.state);
    else if (this.#state) this.#tabs.post({ kind: "have", state: this.#state });
  }

  #take(grant: Grant): SessionState {
    const state = stateOf(grant);
    this.#change(state);
    this.#tabs.post({ kind: "have", state });
    return state;
  }

  #forget(): void {
    this.#change(undefined);
    this.#tabs.post({ kind: "have", state: undefined });
  }

  #change(state: SessionState | undefined): void {
    if (state?.accessToken === this.#state?.accessToken) return;
    this.#state = state;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
    this.#options.onChange?.(state);
  }

  /** Resolves at the next change, or when the other tabs have had their time. */
  async #changed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.add(resolve);
      this.#clock.schedule(TAB_ANSWER_MS, resolve);
    });
  }
}
