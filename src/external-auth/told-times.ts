import { MusterError } from "../errors.ts";
import { type Examination, found } from "./external-token-ports.ts";

/** Where clocks differ by less, they may be at fault. */
const CLOCK_FAULT_MS = 15 * 60_000;
/** A NumericDate from here on, in seconds, is one in milliseconds: the year is beyond 5000. */
const IN_MILLISECONDS = 1e11;

/** What a check of times throws says which times those were. */
export function tellingTimes<T>(seen: Examination, check: () => T, more = ""): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof MusterError)) throw error;
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    throw new MusterError(error.reason, { cause: new Error(`${why}: ${timesOf(seen)}${more}${hintFor(seen)}`) });
  }
}

/** The times of a JWT by this clock, for people. */
export function timesOf({ jwt, nowMs }: Examination): string {
  const { claims } = found(jwt);
  return (["iat", "nbf", "exp"] as const)
    .map((name) => {
      const value = claims[name];
      if (value === undefined) return `no ${name}`;
      if (typeof value !== "number") return `${name} ${JSON.stringify(value).slice(0, 40)}`;
      const ms = value * 1_000 - nowMs;
      return ms < 0 ? `${name} ${spanOf(ms)} ago` : `${name} in ${spanOf(ms)}`;
    })
    .join(", ");
}

function hintFor({ jwt, nowMs }: Examination): string {
  const { claims } = found(jwt);
  const times = [claims["iat"], claims["nbf"], claims["exp"]].filter((value) => typeof value === "number");
  if (times.some((value) => value >= IN_MILLISECONDS)) return "; times are in seconds, these look like milliseconds";
  const isNear = times.some((value) => Math.abs(value * 1_000 - nowMs) < CLOCK_FAULT_MS);
  return isNear ? "; 60 s are allowed: is the clock of whoever signs right?" : "";
}

/** A span of time, for people. */
export function spanOf(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
