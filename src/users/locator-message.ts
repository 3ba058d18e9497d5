import { type Locator as LocatorMessage, LocatorType as Type } from "../gen/muster/v1/user_pb.ts";
import { type LocatorInput, type LocatorType, locatorKey, requireAddress } from "./locator.ts";

/** The kinds of locator by their names in rows. */
export const LOCATOR_TYPES = { email: Type.EMAIL, phone: Type.PHONE } as const satisfies Record<LocatorType, Type>;

/** The address a request names. An unset one has been refused by then. */
export function locatorOf(message: LocatorMessage | undefined): LocatorInput {
  const type = message?.type === Type.PHONE ? "phone" : "email";
  const value = message?.value ?? "";
  return { type, value, key: locatorKey(type, value) };
}

/** An address to add, and whether it is said to be verified. REQUEST_INVALID for one that nothing could reach. */
export async function newLocatorOf(
  message: LocatorMessage | undefined,
): Promise<LocatorInput & { readonly verified: boolean }> {
  const locator = locatorOf(message);
  await requireAddress(locator.type, locator.value, "locator.value");
  return { ...locator, verified: message?.verified ?? false };
}
