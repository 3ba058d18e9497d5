import { randomInt } from "node:crypto";
import { systemClock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { DeliveryState } from "./delivery.ts";
import { type Outcome, outcomeOf, released } from "./outcome.ts";
import { DeliveryPlaces } from "./places.ts";
import { type Receiver, type SendPorts, sendDelivery } from "./send-delivery.ts";
import { type ToSend, type Turn, type TurnPorts, takeTurn } from "./take-turn.ts";

export interface DispatcherPorts extends TurnPorts, SendPorts {
  readonly logger: Logger;
  /** Told of what came of deliveries. */
  onNoted(state: DeliveryState, count: number): void;
}

/** A webhook that this process does something for. */
interface Lane {
  readonly projectId: string;
  readonly webhookId: string;
  /** What came of deliveries and is not noted yet. */
  outcomes: Outcome[];
  /** Whether there may be events to make deliveries of. */
  hasEvents: boolean;
  /** Deliveries that are under way. */
  sending: number;
  /** Whether it is to come back by itself. */
  rests: boolean;
  /** Whether it waits for its turn; it may, while its turn is taken. */
  waits: boolean;
  inTurn: boolean;
}

/** Turns that are taken at once: each holds a connection to the database. */
const MOST_TURNS = 4;
/** How long it rests when a turn failed: the database is away. */
const RETRY_MS = 1_000;
/** For how long deliveries under way are waited for when the process ends, in milliseconds. */
const GRACE_MS = 3_000;
/** What cannot be sent for a fault of ours is tried again after this long, in milliseconds. */
const FAULT_MS = 60_000;

/** Gives webhooks their turns, one after the other, and sends what is claimed in them. */
export class Dispatcher implements AsyncDisposable {
  readonly #ports: DispatcherPorts;
  readonly #lanes = new Map<string, Lane>();
  readonly #line: Lane[] = [];
  /** Those that could have claimed more, had there been places. */
  readonly #starved = new Set<Lane>();
  readonly #places = new DeliveryPlaces();
  readonly #stop = new AbortController();
  #turns = 0;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(ports: DispatcherPorts) {
    this.#ports = ports;
  }

  /** How many deliveries are under way. */
  get sending(): number {
    return this.#places.taken;
  }

  /** Has a webhook take its turn: there are events for it, or deliveries are due. */
  call(projectId: string, webhookId: string, hasEvents: boolean): void {
    if (this.#closing) return;
    const known = this.#lanes.get(webhookId);
    const lane = known ?? {
      projectId,
      webhookId,
      outcomes: [],
      hasEvents,
      sending: 0,
      rests: false,
      waits: false,
      inTurn: false,
    };
    this.#lanes.set(webhookId, lane);
    lane.hasEvents ||= hasEvents;
    this.#enqueue(lane);
  }

  /** Claims nothing more, waits for what is under way, for a moment, and gives back what is not over by then. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    using _timer = systemClock.schedule(GRACE_MS, () => this.#stop.abort(new Error("the process ends")));
    if (this.#lanes.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    await promise;
  }

  #enqueue(lane: Lane): void {
    if (!lane.waits) {
      lane.waits = true;
      this.#line.push(lane);
    }
    this.#next();
  }

  #next(): void {
    while (this.#turns < MOST_TURNS) {
      const at = this.#line.findIndex(({ inTurn }) => !inTurn);
      const [lane] = at < 0 ? [] : this.#line.splice(at, 1);
      if (!lane) return;
      void this.#turn(lane);
    }
  }

  async #turn(lane: Lane): Promise<void> {
    const { projectId, webhookId } = lane;
    lane.waits = false;
    lane.inTurn = true;
    this.#turns += 1;
    const outcomes = lane.outcomes.splice(0);
    const { hasEvents } = lane;
    lane.hasEvents = false;
    const places = this.#closing ? 0 : this.#places.take(projectId, lane.sending);
    let used = 0;
    try {
      const turn = await takeTurn(this.#ports, { projectId, webhookId, outcomes, hasEvents, places });
      used = turn?.claimed.length ?? 0;
      if (turn) this.#follow(lane, turn);
    } catch (error) {
      this.#ports.logger.warn({ err: error, webhookId }, "a webhook's deliveries cannot be gone on with");
      if (!this.#closing) this.#again(lane, outcomes);
    } finally {
      this.#places.leave(projectId, places - used);
      lane.inTurn = false;
      this.#turns -= 1;
      this.#forget(lane);
      this.#next();
    }
  }

  #again(lane: Lane, outcomes: readonly Outcome[]): void {
    lane.outcomes.unshift(...outcomes);
    lane.hasEvents = true;
    lane.rests = true;
    systemClock.schedule(RETRY_MS, () => {
      lane.rests = false;
      this.#enqueue(lane);
    });
  }

  #follow(lane: Lane, turn: Turn): void {
    const { logger, onNoted } = this.#ports;
    for (const [state, count] of turn.noted) onNoted(state, count);
    if (turn.disabled)
      logger.warn(
        { projectId: lane.projectId, webhookId: lane.webhookId, cause: turn.disabled },
        "a webhook was disabled",
      );
    for (const delivery of turn.claimed) void this.#send(lane, turn.receiver, delivery);
    if (turn.isFull) this.#starved.add(lane);
    if (!turn.more || this.#closing) return;
    lane.hasEvents = true;
    this.#enqueue(lane);
  }

  async #send(lane: Lane, receiver: Receiver, delivery: ToSend): Promise<void> {
    lane.sending += 1;
    const outcome = await this.#attempt(receiver, delivery);
    lane.sending -= 1;
    lane.outcomes.push(outcome);
    this.#places.leave(lane.projectId, 1);
    this.#enqueue(lane);
    for (const starved of this.#starved) {
      this.#starved.delete(starved);
      if (!this.#closing) this.#enqueue(starved);
    }
  }

  /** Never rejects. */
  async #attempt(receiver: Receiver, delivery: ToSend): Promise<Outcome> {
    const { clock, logger } = this.#ports;
    const { event } = delivery;
    if (!event) return { claimed: delivery, state: "FAILED", failure: "EVENT_EXPIRED" };
    try {
      const attempt = await sendDelivery(this.#ports, receiver, event, this.#stop.signal);
      return outcomeOf(delivery, attempt, clock.now(), randomInt(2 ** 32) / 2 ** 32);
    } catch (error) {
      if (this.#stop.signal.aborted) return released(delivery, clock.now());
      logger.error({ err: error, webhookId: receiver.id }, "a delivery could not be attempted");
      return released(delivery, clock.now() + FAULT_MS);
    }
  }

  #forget(lane: Lane): void {
    const isIdle = !lane.waits && !lane.rests && lane.sending === 0 && lane.outcomes.length === 0;
    if (isIdle) this.#lanes.delete(lane.webhookId);
    if (this.#closing && this.#lanes.size === 0) this.#idle?.();
  }
}
