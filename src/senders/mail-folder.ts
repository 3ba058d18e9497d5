import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import type { Clock } from "../clock.ts";
import { makeFolder } from "../db/make-folder.ts";
import { MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import { mailMessage } from "./mail-message.ts";
import type { MailSender } from "./senders.ts";

export interface MailFolderOptions {
  readonly folder: string;
  readonly from: string;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
}

/** Writes each mail to a file of its own that only this user may read, for development; the log says where. */
export function createMailFolder({ folder, from, clock, newId, logger }: MailFolderOptions): MailSender {
  const transport = createTransport({ streamTransport: true, buffer: true });
  return {
    async send(mail) {
      const date = new Date(clock.now());
      const file = join(folder, `${date.toISOString().replaceAll(":", "-")}-${newId()}.eml`);
      try {
        const { message } = await transport.sendMail({ ...mailMessage(from, mail), date });
        await makeFolder(folder);
        await writeFile(file, message as Buffer, { mode: 0o600, flag: "wx" });
      } catch (error) {
        logger.warn({ err: error, folder }, "mail was not written");
        throw new MusterError("MAIL_UNAVAILABLE", { retryAfterMs: 1_000, cause: error });
      }
      logger.info({ file }, "mail was written to a file: no SMTP server is configured");
    },
  };
}
