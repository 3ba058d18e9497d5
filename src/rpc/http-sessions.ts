import { randomInt } from "node:crypto";
import type { Http2Session, ServerHttp2Session } from "node:http2";
import type { Clock } from "../clock.ts";
import type { HttpLimits } from "./http-limits.ts";

/** Ends HTTP/2 connections that are silent, dead, idle or old. */
export interface SessionKeeper {
  readonly size: number;
  /** Takes care of a session until it closes. */
  watch(session: ServerHttp2Session): void;
  /** Sends GOAWAY to all, and to those that come later: what was asked is answered, nothing new is taken. */
  closeAll(): void;
  destroyAll(): void;
}

/**
 * A keeper by the times of `limits`; those of old age differ by up to a tenth from session to session. `onOld` is called when a
 * session has become too old, before what still goes on on it is cut off.
 */
export function createSessionKeeper(limits: HttpLimits, clock: Clock, onOld: (session: object) => void): SessionKeeper {
  const sessions = new Set<Http2Session>();
  let closing = false;
  return {
    get size() {
      return sessions.size;
    },
    watch(session) {
      sessions.add(session);
      const timers = new DisposableStack();
      timers.use(closeSilent(session, limits, clock));
      timers.use(closeIdle(session, limits, clock));
      timers.use(destroyDead(session, limits, clock));
      timers.use(closeOld(session, limits, clock, onOld));
      // Without a listener a broken connection would end the process.
      session.on("error", () => {});
      session.once("close", () => {
        sessions.delete(session);
        timers.dispose();
      });
      if (closing) session.close();
    },
    closeAll() {
      closing = true;
      for (const session of sessions) session.close();
    },
    destroyAll() {
      for (const session of sessions) session.destroy();
    },
  };
}

/** A timer that can be set again; the one before is then off. */
function createTimer(clock: Clock): Disposable & { set(delayMs: number, action: () => void): void } {
  let running: Disposable | undefined;
  const off = () => running?.[Symbol.dispose]();
  return {
    set(delayMs, action) {
      off();
      running = clock.schedule(delayMs, action);
    },
    [Symbol.dispose]: off,
  };
}

/** The peer's SETTINGS end the preface; a peer that never sends them is no client. */
function closeSilent(session: Http2Session, limits: HttpLimits, clock: Clock): Disposable {
  const timer = createTimer(clock);
  timer.set(limits.prefaceTimeoutMs, () => session.destroy());
  session.once("remoteSettings", () => timer[Symbol.dispose]());
  return timer;
}

function closeIdle(session: ServerHttp2Session, limits: HttpLimits, clock: Clock): Disposable {
  const timer = createTimer(clock);
  let open = 0;
  let idleSince = clock.monotonic();
  const close = () => {
    session.close();
    // A peer that does not hang up is hung up on.
    timer.set(limits.prefaceTimeoutMs, () => session.destroy());
  };
  // A timer that is set anew for each stream would cost each call.
  const look = () => {
    const left = open > 0 ? limits.idleTimeoutMs : idleSince + limits.idleTimeoutMs - clock.monotonic();
    if (left <= 0) close();
    else timer.set(Math.ceil(left), look);
  };
  look();
  const onEnd = () => {
    if (--open === 0) idleSince = clock.monotonic();
  };
  session.on("stream", (stream) => {
    open++;
    stream.on("close", onEnd);
  });
  return timer;
}

function destroyDead(session: Http2Session, limits: HttpLimits, clock: Clock): Disposable {
  const next = createTimer(clock);
  const answer = createTimer(clock);
  const ping = () => {
    if (session.destroyed) return;
    answer.set(limits.pingTimeoutMs, () => session.destroy());
    session.ping((error) => {
      answer[Symbol.dispose]();
      if (!error && !session.destroyed) next.set(limits.pingIntervalMs, ping);
    });
  };
  next.set(limits.pingIntervalMs, ping);
  return {
    [Symbol.dispose]() {
      next[Symbol.dispose]();
      answer[Symbol.dispose]();
    },
  };
}

function closeOld(
  session: Http2Session,
  limits: HttpLimits,
  clock: Clock,
  onOld: (session: object) => void,
): Disposable {
  const timer = createTimer(clock);
  timer.set(jittered(limits.maxAgeMs), () => {
    session.close();
    onOld(session);
    timer.set(limits.ageGraceMs, () => session.destroy());
  });
  return timer;
}

/** Within a tenth of `ms`, so that connections made at one time do not end at one time. */
export const jittered = (ms: number): number => Math.max(1, Math.floor(ms * (0.9 + randomInt(2_001) / 10_000)));
