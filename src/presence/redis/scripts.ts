import { createHash } from "node:crypto";
import { DELETED } from "./record-text.ts";

/** A Lua script: one step to all others, on the server that has its key. */
export interface Script {
  readonly text: string;
  /** What the server knows it by, once it has run it. */
  readonly sha1: string;
}

function script(text: string): Script {
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

/** How long after its deletion a user cannot be set, in seconds: longer than any change is under way. */
const DELETED_S = 3_600;

/**
 * Sets a presence and tells of it, by this server's clock in microseconds. KEYS[1] the record; ARGV: 1 the channel, 2 the user,
 * 3 the chain, 4 the span of its first step in microseconds, empty without end. Answers `revision setAt since`; nil: the user was
 * deleted. A refresh (an equal chain while its first step lasts) keeps `since`, and is told to nobody. Numbers are exact up to 2⁵³.
 */
export const SET = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local revision, since, refresh = now, now, false
local before = redis.call('GET', KEYS[1])
if before == '${DELETED}' then return false end
if before then
  local last, set_at, began, chain = string.match(before, '^(%d+) (%d+) (%d+) (.*)$')
  if last and tonumber(last) >= now then revision = tonumber(last) + 1 end
  refresh = chain == ARGV[3] and (ARGV[4] == '' or now < set_at + ARGV[4])
  if refresh then since = tonumber(began) end
end
local times = string.format('%.0f %.0f %.0f', revision, now, since)
redis.call('SET', KEYS[1], times .. ' ' .. ARGV[3])
if not refresh then redis.call('SPUBLISH', ARGV[1], ARGV[2] .. ' ' .. times .. ' ' .. ARGV[3]) end
return times`);

/** Ends a presence for good and has those that watch look. KEYS[1] the record; ARGV: 1 the channel, 2 the user. */
export const DELETE = script(`
redis.call('SET', KEYS[1], '${DELETED}', 'EX', ${DELETED_S})
redis.call('SPUBLISH', ARGV[1], ARGV[2])
return 1`);
