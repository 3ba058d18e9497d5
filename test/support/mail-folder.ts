import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll } from "vitest";

/** A data folder that a server without SMTP leaves its mails in. */
export interface MailFolder {
  readonly dataDir: string;
  /** The mails that an address was sent, once there are so many. */
  mailsTo(address: string, count: number): Promise<string[]>;
}

/** Makes one, which goes with the test file. */
export async function mailFolder(): Promise<MailFolder> {
  const dataDir = await mkdtemp(join(tmpdir(), "muster-mail-"));
  afterAll(() => rm(dataDir, { recursive: true, force: true }));
  return {
    dataDir,
    async mailsTo(address, count) {
      for (;;) {
        const files = await readdir(join(dataDir, "mail")).catch((): string[] => []);
        const texts = await Promise.all(files.toSorted().map((file) => readFile(join(dataDir, "mail", file), "utf8")));
        // Long lines are folded by `=` at their ends.
        const mails = texts
          .map((text) => text.replace(/=\r?\n/g, "").replaceAll("=3D", "="))
          .filter((text) => text.includes(`To: ${address}`));
        if (mails.length >= count) return mails;
        await sleep(10);
      }
    },
  };
}
