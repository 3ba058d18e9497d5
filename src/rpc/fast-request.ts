import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type UnaryRequest } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { CallValues } from "./call-values.ts";
import { CLIENT_ADDRESS } from "./client-address.ts";
import type { CoarseTimer, CoarseTimers } from "./coarse-timers.ts";
import type { CloseListener, Exchange } from "./exchange.ts";
import type { Callee, RunCall } from "./fast-call.ts";
import { type Answer, acceptsGzip, type Framing, type FramingOptions, frame, type Outcome } from "./fast-framing.ts";
import { runStream } from "./fast-stream.ts";
import type { Gate } from "./gate.ts";
import { addMissing, RequestHeaders } from "./light-headers.ts";
import type { NodeHeaders } from "./node-headers.ts";
import { CONNECTION } from "./open-streams.ts";
import { isStream, type StreamMethod, type UnaryMethod } from "./service-methods.ts";
import type { Settled } from "./settle.ts";
import type { ArrivingBody, BodyTaker } from "./strict-decode-body.ts";
import { timeoutOf } from "./strict-decode-format.ts";
import type { MessageReader } from "./strict-decode-message.ts";
import { messageOfQuery } from "./strict-decode-query.ts";
import { leaveUndecoded, UNDECODED } from "./undecoded.ts";
import { timeFor } from "./write-answer.ts";

/** A call that the fast path takes. */
export interface FastTarget {
  readonly callee: Callee<UnaryMethod | StreamMethod>;
  readonly framing: Framing;
}

/** What all calls share. */
export interface FastParts {
  readonly gate: Gate;
  /** THE list, outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly run: RunCall;
  readonly reader: MessageReader;
  readonly stalls: CoarseTimers;
  readonly framing: FramingOptions;
  readonly limits: { readonly readMaxBytes: number; readonly writeMaxBytes: number; readonly maxTimeoutMs: number };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whom a call comes from. */
  addressOf(exchange: Exchange): string;
}

/** Stands for the message until it has been read. */
const NO_MESSAGE = {} as Message;

/**
 * One call, from the header of its request to its answer: gate, message, interceptors and service, framing. Each step begins the next one, at once
 * where there is nothing to wait for.
 */
export class FastRequest implements BodyTaker, CloseListener {
  readonly #parts: FastParts;
  readonly #target: FastTarget;
  readonly #exchange: Exchange;
  readonly #extra: NodeHeaders;
  readonly #controller = new AbortController();
  readonly #request: { -readonly [K in keyof UnaryRequest]: UnaryRequest[K] };
  #encoding = "identity";
  #timeoutMs: number | undefined;
  #body: ArrivingBody | undefined;
  /** How long the reader may take nothing of the answer; unset until there is one. */
  #stall: CoarseTimer | undefined;

  constructor(parts: FastParts, target: FastTarget, exchange: Exchange, extra: NodeHeaders) {
    this.#parts = parts;
    this.#target = target;
    this.#exchange = exchange;
    this.#extra = extra;
    const { method } = target.callee;
    const values = new CallValues().set(CLIENT_ADDRESS, parts.addressOf(exchange));
    if (exchange.isMultiplexed) values.set(CONNECTION, exchange.connection);
    this.#request = {
      stream: false,
      service: method.parent,
      // That of a stream is made a stream's once its message is there.
      method: method as DescMethodUnary,
      requestMethod: exchange.method,
      url: exchange.target.startsWith("/") ? exchange.origin + exchange.target : exchange.target,
      signal: this.#controller.signal,
      header: new RequestHeaders(exchange.headers),
      contextValues: values,
      message: NO_MESSAGE,
    };
  }

  /** Never throws. */
  start(): void {
    this.#exchange.onClose(this);
    try {
      const passing = this.#parts.gate(this.#target.callee.method, this.#request);
      if (passing)
        return this.#later(
          passing,
          () => this.#receive(),
          (refusal) => this.#refuse(refusal),
        );
    } catch (refusal) {
      return this.#refuse(refusal);
    }
    this.#receive();
  }

  /** What the gate throws is for the interceptors to throw. */
  #refuse(refusal: unknown): void {
    leaveUndecoded(this.#request.contextValues, refusal);
    this.#receive();
  }

  #receive(): void {
    if (this.#controller.signal.aborted) return;
    const { framing } = this.#target;
    const { reader, limits } = this.#parts;
    const { header, contextValues: values, method, requestMethod } = this.#request;
    try {
      this.#encoding = header.get(framing.encodingHeader) ?? "identity";
      this.#timeoutMs = timeoutOf(header.get(framing.timeoutHeader), framing.timeoutHeader, limits.maxTimeoutMs);
      if (values.get(UNDECODED)) this.#decoded(create(method.input));
      else if (requestMethod === "GET") this.#decode(this.#readQuery());
      else {
        const { body: stream, headers } = this.#exchange;
        const source = { stream, announced: headers["content-length"], encoding: this.#encoding };
        this.#body = reader.take(method, framing, source, values, this);
      }
    } catch (error) {
      this.refused(error);
    }
  }

  async #readQuery(): Promise<Message> {
    const { reader } = this.#parts;
    const { url, method, contextValues } = this.#request;
    const message = messageOfQuery(new URL(url), reader.maxBytes(method, "binary", contextValues));
    // A query without an encoding is not for the fast path.
    if (!message) return create(method.input);
    return reader.decode(method.input, message.codec, await message.bytes());
  }

  arrived(body: Uint8Array): void {
    const { method, contextValues } = this.#request;
    let message: Settled<Message>;
    try {
      message = this.#parts.reader.message(method, this.#target.framing, this.#encoding, body, contextValues);
    } catch (error) {
      return this.refused(error);
    }
    this.#decode(message);
  }

  #decode(message: Settled<Message>): void {
    if (message instanceof Promise)
      this.#later(
        message,
        (decoded) => this.#decoded(decoded),
        (error) => this.refused(error),
      );
    else this.#decoded(message);
  }

  /** The message is an empty one, and the interceptors throw why. No deadline counts for it. */
  refused(why: unknown): void {
    leaveUndecoded(this.#request.contextValues, why);
    this.#timeoutMs = undefined;
    this.#decoded(create(this.#request.method.input));
  }

  #decoded(message: Message): void {
    // Nobody is left to read an answer.
    if (this.#controller.signal.aborted) return;
    this.#request.message = message;
    const { run, stalls, framing: options, limits, interceptors, clock } = this.#parts;
    const { callee, framing } = this.#target;
    try {
      const gzip = acceptsGzip(framing, this.#request.header.get(framing.acceptHeader), this.#encoding);
      const request = this.#request;
      const rest = { framing, request, controller: this.#controller, gzip, timeoutMs: this.#timeoutMs };
      if (isStream(callee)) {
        const { writeMaxBytes } = limits;
        const target = { exchange: this.#exchange, extra: this.#extra, stalls, framing: options, writeMaxBytes };
        return this.#later(runStream({ callee, ...rest }, target, interceptors, clock));
      }
      const outcome = run({ callee, ...rest });
      if (outcome instanceof Promise) this.#later(outcome, (known) => this.#frame(known, gzip));
      else this.#frame(outcome, gzip);
    } catch (error) {
      this.#fail(error);
    }
  }

  #frame(outcome: Outcome, gzip: boolean): void {
    const answer = frame(this.#target.framing, outcome, gzip, this.#parts.framing);
    if (answer instanceof Promise) this.#later(answer, (framed) => this.#send(framed));
    else this.#send(answer);
  }

  #send(answer: Answer): void {
    if (this.#exchange.isGone) return;
    this.#stall = this.#parts.stalls.start(timeFor(answer.body.length), this);
    addMissing(answer.headers, this.#extra);
    this.#exchange.send(answer);
  }

  /** The reader takes nothing. */
  expire(): void {
    this.#exchange.breakOff();
  }

  closed(): void {
    this.#parts.stalls.clear(this.#exchange);
    if (this.#stall) return this.#stall.clear();
    if (!this.#controller.signal.aborted) this.#controller.abort(new ConnectError("the client left", Code.Canceled));
    this.#body?.leave();
  }

  /** Goes on once something has been waited for. */
  #later<T>(work: Promise<T>, done: (value: T) => void = () => {}, failed?: (error: unknown) => void): void {
    work.then(done, failed).catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    if (exchange.isGone) return;
    const { method } = this.#target.callee;
    const rpc = `${method.parent.typeName}/${method.name}`;
    this.#parts.logger.error({ err: error, rpc }, "an answer could not be written");
    try {
      const headers = ["content-length", "0"];
      addMissing(headers, this.#extra);
      exchange.send({ status: 500, headers, body: new Uint8Array() });
    } catch {
      exchange.breakOff();
    }
  }
}
