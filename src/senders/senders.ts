import { join, resolve } from "node:path";
import type { Clock } from "../clock.ts";
import type { Egress } from "../egress/egress.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import type { SmtpOptions } from "./mail-sender.ts";
import { createSmsWebhook } from "./sms-webhook.ts";

/** A mail to one person. */
export interface Mail {
  /** The address: its local part as RFC 5321 writes it, quotes included, and its domain in A-labels. */
  readonly to: { readonly local: string; readonly domain: string };
  readonly subject: string;
  /** Plain text. */
  readonly text: string;
}

/** Hands mail over. Whoever awaits it knows that it was taken, not that it arrives. MAIL_UNAVAILABLE. */
export interface MailSender {
  send(mail: Mail): Promise<void>;
}

/** A text message to one phone. */
export interface TextMessage {
  readonly projectId: string;
  /** E.164. */
  readonly to: string;
  readonly text: string;
  /** The code in the text, for a receiver that words messages itself. */
  readonly code: string;
}

/** Hands text messages over. SMS_UNAVAILABLE. */
export interface SmsSender {
  send(message: TextMessage): Promise<void>;
}

/** What messages leave by. */
export interface Senders {
  readonly mail: MailSender;
  /** Undefined where none is configured. */
  readonly sms: SmsSender | undefined;
}

export interface SendersConfig {
  readonly smtp: SmtpOptions | undefined;
  readonly mailFrom: string;
  readonly dataDir: string;
  readonly smsWebhook: { readonly url: string; readonly secret: Uint8Array } | undefined;
}

export interface SendersPorts {
  readonly egress: Egress;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
}

/** The senders of a configuration; without an SMTP server, mail is written to files. */
export function createSenders(config: SendersConfig, ports: SendersPorts): Senders {
  const { smtp, mailFrom: from, dataDir, smsWebhook } = config;
  const { clock, newId, logger } = ports;
  return {
    mail: atFirstMail(async () => {
      if (smtp) return (await import("./mail-sender.ts")).createMailSender(smtp, from, logger);
      const { createMailFolder } = await import("./mail-folder.ts");
      return createMailFolder({ folder: resolve(join(dataDir, "mail")), from, clock, newId, logger });
    }),
    sms: smsWebhook && createSmsWebhook({ ...smsWebhook, ...ports }),
  };
}

/** Made when it is first used: what writes mail is loaded only where mail is sent. */
function atFirstMail(make: () => Promise<MailSender>): MailSender {
  let made: Promise<MailSender> | undefined;
  return { send: async (mail) => (await (made ??= make())).send(mail) };
}
