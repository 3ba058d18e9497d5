import { invalid } from "../errors.ts";
import { type Egress, EgressError } from "./egress.ts";

/** Has to be the beginning of a URL so that every reader finds the same host in it. */
const AUTHORITY = /^https?:\/\/[^/?#@]+(?=[/?]|$)/;

/** Whether the text is a URL of one reading: ASCII, without credentials, fragment and backslashes. */
const isPlain = (url: string): boolean =>
  /^[!-~]+$/.test(url) && AUTHORITY.test(url) && !/[\\#]/.test(url) && URL.canParse(url);

/** The part of a URL that says whom it is for. */
export const authorityOf = (url: string): string => AUTHORITY.exec(url)?.[0] ?? "";

/** Refuses what is no URL that this process would call, as far as that is known without resolving its host. REQUEST_INVALID at `field`. */
export function checkUrl(field: string, url: string, egress: Egress): void {
  if (!isPlain(url)) throw invalid(field, "must be an https URL in ASCII, without credentials and fragment");
  try {
    egress.check(url);
  } catch (error) {
    if (error instanceof EgressError) throw invalid(field, error.message);
    throw error;
  }
}
