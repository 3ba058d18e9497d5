import { Session } from "node:inspector/promises";
import { type Config, readConfig } from "../../src/config.ts";
import type { DatabaseAddress } from "../../src/db/orm.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import type { PasswordHasher } from "../../src/users/passwords/passwords.ts";
import { answerParent, USAGE } from "./answer-parent.ts";
import { SOME_HASH } from "./some-hash.ts";

/** What a Muster of the bench runs on. */
export interface SubjectOptions {
  readonly database: DatabaseAddress;
  readonly operatorKey: string;
  readonly encryptionKey: Uint8Array;
  /** Takes every password for the right one at no cost: what hashing costs has nothing to do with Muster. */
  readonly withoutHashing?: boolean;
  /** Which hosts and ports of this machine it may call. */
  readonly egressAllow?: readonly string[];
  /** Where presences are kept; left out: in the database. */
  readonly redis?: Config["redis"];
}

const NO_HASHER: PasswordHasher = { hash: async () => SOME_HASH, matches: async () => true };

let inspector: Session | undefined;
let server: RunningServer | undefined;

/** As in production, but for the rate limits. */
async function start(options: SubjectOptions): Promise<string> {
  const { database, operatorKey, encryptionKey, withoutHashing, egressAllow = [], redis } = options;
  const environment = readConfig({
    MUSTER_PORT: "0",
    MUSTER_RATE_LIMITS: "off",
    MUSTER_EGRESS_ALLOW: egressAllow.join(),
  });
  const config = { ...environment, database, operatorKey, encryptionKeys: [encryptionKey], redis };
  server = await startServer(config, withoutHashing ? { passwordHasher: NO_HASHER } : {});
  return server.url;
}

answerParent(
  {
    ...USAGE,
    start,
    async startProfile() {
      inspector = new Session();
      inspector.connect();
      await inspector.post("Profiler.enable");
      await inspector.post("Profiler.setSamplingInterval", { interval: 250 });
      await inspector.post("Profiler.start");
    },
    async stopProfile() {
      const profile = (await inspector?.post("Profiler.stop"))?.profile;
      inspector?.disconnect();
      return JSON.stringify(profile);
    },
  },
  async () => server?.[Symbol.asyncDispose](),
);
