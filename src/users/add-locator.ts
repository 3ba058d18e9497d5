import type { WriteScope } from "../db/recorded.ts";
import { changeLocators, type LocatorPorts } from "./held-locators.ts";
import { isSameLocator, type LocatorInput } from "./locator.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

/**
 * Adds an address to a user: the first of its type is primary. One it holds already stays, but may become verified.
 * USER_NOT_FOUND, USER_DELETED, LOCATOR_TAKEN; REQUEST_INVALID for more than 20.
 */
export function addLocator(
  ports: LocatorPorts,
  scope: WriteScope,
  key: UserKey,
  locator: LocatorInput,
  verified: boolean,
): Promise<UserRow> {
  return changeLocators(ports, scope, key, (held) => {
    const same = held.find((it) => isSameLocator(it, locator));
    if (same && (same.verified || !verified)) return undefined;
    if (same) return held.map((it) => (it === same ? { ...it, verified } : it));
    const primary = !held.some((it) => it.type === locator.type && it.primary);
    return [...held, { ...locator, verified, primary }];
  });
}
