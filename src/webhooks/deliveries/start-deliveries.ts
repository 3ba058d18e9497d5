import type { Listener } from "../../db/listener.ts";
import type { Database } from "../../db/orm.ts";
import { Dispatcher, type DispatcherPorts } from "./dispatcher.ts";
import { startFinder } from "./work-finder.ts";

export interface DeliveryPorts extends Omit<DispatcherPorts, "db" | "onNoted"> {
  readonly db: Database;
  readonly listener: Listener;
  readonly metrics: {
    gauge(name: string, help: string, read: () => number): void;
    counterBy(label: string, name: string, help: string): (value: string) => void;
  };
}

/** How a noted delivery is counted. */
const COUNTED_AS = { SUCCEEDED: "SUCCEEDED", FAILED: "FAILED", PENDING: "RETRIED" } as const;

/** Has what happens in projects delivered to their webhooks, as one of any number of servers. */
export function startDeliveries(ports: DeliveryPorts): AsyncDisposable {
  const { metrics } = ports;
  const count = metrics.counterBy(
    "outcome",
    "webhook_deliveries",
    "Attempts of deliveries to webhooks, by what came of them",
  );
  const dispatcher = new Dispatcher({
    ...ports,
    onNoted: (state, times) => {
      for (let n = 0; n < times; n++) count(COUNTED_AS[state]);
    },
  });
  const finder = startFinder(ports, ({ projectId, webhookId, hasEvents }) =>
    dispatcher.call(projectId, webhookId, hasEvents),
  );
  metrics.gauge("webhook_deliveries_sending", "Deliveries to webhooks that are under way", () => dispatcher.sending);
  metrics.gauge(
    "webhook_delivery_overdue_seconds",
    "For how long the first of the deliveries that are due has waited to be sent",
    () => finder.overdueMs / 1_000,
  );
  return {
    async [Symbol.asyncDispose]() {
      await finder[Symbol.asyncDispose]();
      await dispatcher[Symbol.asyncDispose]();
    },
  };
}
