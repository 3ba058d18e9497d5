import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll } from "vitest";
import type { Database } from "../../src/db/orm.ts";
import { createSealer } from "../../src/sealing.ts";
import { newWebhookSecret, sealWebhookSecrets } from "../../src/webhooks/webhook-secrets.ts";

/** The payload of a delivery. */
export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly user_id?: string;
  readonly data: Record<string, unknown>;
}

/** One request that a receiver was sent. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly event: ReceivedEvent;
}

/** How a request is answered. */
export type Answering = (received: Received, response: ServerResponse) => void;

/** A receiver of webhooks on loopback, closed after the file. */
export interface Receiver {
  readonly port: number;
  readonly url: string;
  /** As the allowlist of egress names it. */
  readonly host: string;
  readonly received: Received[];
  answer: Answering;
  /** Closes it with its connections, and what is sent to it is refused. */
  stop(): Promise<void>;
  /** Has it listen again, at the same port. */
  start(): Promise<void>;
}

export const answering =
  (status: number, headers: Record<string, string> = {}): Answering =>
  (_, response) =>
    void response.writeHead(status, headers).end();

export async function startReceiver(answer: Answering = answering(204)): Promise<Receiver> {
  let port = 0;
  const listening = () => {
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        const received = { path: request.url ?? "", headers: request.headers, body, event: JSON.parse(body) };
        receiver.received.push(received);
        receiver.answer(received, response);
      });
    });
    return server;
  };
  let server = listening();
  const receiver: Receiver = {
    get port() {
      return port;
    },
    get url() {
      return `http://127.0.0.1:${port}/hook`;
    },
    get host() {
      return `127.0.0.1:${port}`;
    },
    received: [],
    answer,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
    async start() {
      server = listening();
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      port = (server.address() as AddressInfo).port;
    },
  };
  await receiver.start();
  afterAll(() => receiver.stop());
  return receiver;
}

export interface MadeWebhook {
  readonly id: string;
  readonly secret: Buffer;
}

/** A webhook in the database. */
export async function makeWebhook(
  db: Database,
  encryptionKeys: readonly Uint8Array[],
  projectId: string,
  url: string,
  { eventTypes = [] as string[], maxConcurrency = 10, payload = "FULL", now = new Date() } = {},
): Promise<MadeWebhook> {
  const id = crypto.randomUUID();
  const secret = newWebhookSecret();
  const sealed = sealWebhookSecrets(createSealer(encryptionKeys), projectId, id, [secret]);
  await db.pool.query(
    `insert into webhooks (project_id, id, url, description, event_types, payload, max_concurrency, sealed_secrets, disabled, create_time, update_time)
     values ($1, $2, $3, '', $4, $5, $6, $7, false, $8, $8)`,
    [projectId, id, url, eventTypes, payload, maxConcurrency, sealed, now],
  );
  return { id, secret };
}

/** A delivery as it is kept. */
export interface DeliveryRow {
  readonly eventId: string;
  readonly eventType: string;
  readonly state: string;
  readonly failure: string | null;
  readonly attemptCount: number;
  readonly attempts: readonly { time: string; status?: number; error?: string; duration_ms: number }[];
  readonly nextAttemptTime: Date;
  readonly isClaimed: boolean;
}

/** The deliveries of a webhook, in order. */
export async function deliveriesOf(db: Database, webhookId: string): Promise<DeliveryRow[]> {
  const { rows } = await db.pool.query(
    `select event_id as "eventId", event_type as "eventType", state, failure, attempt_count as "attemptCount", attempts,
       next_attempt_time as "nextAttemptTime", run_id is not null as "isClaimed"
     from deliveries where webhook_id = $1 order by position`,
    [webhookId],
  );
  return rows.map((row) => ({ ...row, nextAttemptTime: new Date(row.nextAttemptTime) }));
}

/** How a webhook stands. */
export async function webhookRow(db: Database, id: string): Promise<Record<string, unknown>> {
  return (await db.pool.query("select * from webhooks where id = $1", [id])).rows[0];
}
