import { createTransport } from "nodemailer";
import { MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { mailMessage } from "./mail-message.ts";
import type { MailSender } from "./senders.ts";

/** The server that takes mail. */
export interface SmtpOptions {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte. */
  readonly tls: boolean;
  readonly user?: string;
  readonly password?: string;
}

/** How long each step of a session may take. */
const STEP_MS = 10_000;
/** How long a mail may take in all. */
const MAIL_MS = 20_000;
const RETRY_AFTER_MS = 30_000;

/** Hands mail to an SMTP server, a session each. A password is never sent in clear text. */
export function createMailSender(smtp: SmtpOptions, from: string, logger: Logger): MailSender {
  const { host, port, tls: secure, user, password } = smtp;
  const transport = createTransport({
    ...{ host, port, secure, requireTLS: user !== undefined },
    ...(user !== undefined && { auth: { user, pass: password } }),
    ...{ connectionTimeout: STEP_MS, greetingTimeout: STEP_MS, dnsTimeout: STEP_MS, socketTimeout: STEP_MS },
  });
  return {
    async send(mail) {
      try {
        await transport.sendMail({ ...mailMessage(from, mail), signal: AbortSignal.timeout(MAIL_MS) });
      } catch (error) {
        // The text of the error may hold the address: the log does not.
        const { code, command, responseCode } = error as { code?: string; command?: string; responseCode?: number };
        logger.warn({ code, command, responseCode }, "mail was not handed over");
        throw new MusterError("MAIL_UNAVAILABLE", { retryAfterMs: RETRY_AFTER_MS, cause: error });
      }
    },
  };
}
