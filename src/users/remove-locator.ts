import type { WriteScope } from "../db/recorded.ts";
import { changeLocators, type LocatorPorts, requireHeld } from "./held-locators.ts";
import type { LocatorKey } from "./locator.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

/**
 * Takes an address from a user; in place of a primary one the oldest other one of its type becomes primary.
 * USER_NOT_FOUND, USER_DELETED, LOCATOR_NOT_FOUND.
 */
export function removeLocator(
  ports: LocatorPorts,
  scope: WriteScope,
  key: UserKey,
  locator: LocatorKey,
): Promise<UserRow> {
  return changeLocators(ports, scope, key, (held) => {
    const gone = requireHeld(held, locator);
    const rest = held.filter((it) => it !== gone);
    const heir = gone.primary ? rest.find(({ type }) => type === gone.type) : undefined;
    return rest.map((it) => (it === heir ? { ...it, primary: true } : it));
  });
}
