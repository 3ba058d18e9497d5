import type { SendMailOptions } from "nodemailer";
import type { Mail } from "./senders.ts";

/** The mail in the library's form. The recipient is given as envelope and as an address apart, so that none is parsed out of a list. */
export function mailMessage(from: string, { to, subject, text }: Mail): SendMailOptions {
  const address = `${to.local}@${to.domain}`;
  return {
    from: { name: "", address: from },
    to: { name: "", address },
    envelope: { from, to: [address] },
    subject,
    text,
    // Neither answers of machines (RFC 3834 §5) nor what the text might name as a file are wanted.
    headers: { "Auto-Submitted": "auto-generated" },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
