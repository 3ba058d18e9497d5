import { domainToASCII } from "node:url";

/** `atext` of RFC 5322 §3.2.3, one or more, with single dots between them: a Dot-string of RFC 5321 §4.1.2. */
const DOT_STRING = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
/** A Quoted-string of RFC 5321 §4.1.2. */
const QUOTED_STRING = /^"([ !#-[\]-~]|\\[ -~])*"$/;
/** A domain in A-labels: letters, digits and hyphens, 63 at most a label (RFC 1035 §2.3.4). */
const DOMAIN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** A last label of digits, or of a hexadecimal number, makes a domain an IP address to those who resolve it. */
const NUMERIC_END = /(^|\.)(\d+|0x[0-9a-f]*)$/;
/** RFC 5321 §4.5.3.1.1; and §4.5.3.1.3 less the angle brackets. */
const MOST_LOCAL_BYTES = 64;
const MOST_BYTES = 254;

/** An address as it is sent to: the local part as it was written, the domain in A-labels and lower case. */
export interface Mailbox {
  readonly local: string;
  readonly domain: string;
}

/** The mailbox an email address names; undefined for what is none. */
export function mailboxOf(email: string): Mailbox | undefined {
  const at = email.lastIndexOf("@");
  const local = email.slice(0, Math.max(at, 0));
  const domain = asciiDomain(email.slice(at + 1));
  if (!domain || local.length > MOST_LOCAL_BYTES || local.length + 1 + domain.length > MOST_BYTES) return undefined;
  return DOT_STRING.test(local) || QUOTED_STRING.test(local) ? { local, domain } : undefined;
}

/** The domain in A-labels by UTS #46. What a URL would have unescaped, cut off or taken for an IP address is refused before. */
function asciiDomain(domain: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is ASCII and no letter, digit, hyphen or dot is refused.
  if (/[\x00-,/:-@[-`{-\x7f]/.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  return DOMAIN.test(ascii) && !NUMERIC_END.test(ascii) ? ascii : undefined;
}

/**
 * An email address as it is compared: without regard to case (we hold the local part so too, which RFC 5321 §2.4 leaves to its host),
 * without quotes that mean nothing, the domain in A-labels. What is no mailbox is compared byte by byte but for the case of ASCII:
 * nothing of it may become equal to a mailbox.
 */
export function emailKey(email: string): string {
  const mailbox = mailboxOf(email);
  if (!mailbox) return lowerAscii(email);
  return `${lowerAscii(unquoted(mailbox.local))}@${mailbox.domain}`;
}

const lowerAscii = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** A quoted local part without the escapes, and where it can be the quotes, that it does not need (RFC 5321 §4.1.2). */
function unquoted(local: string): string {
  if (!local.startsWith('"')) return local;
  const content = local.slice(1, -1).replace(/\\(.)/g, "$1");
  return DOT_STRING.test(content) ? content : `"${content.replace(/["\\]/g, "\\$&")}"`;
}
