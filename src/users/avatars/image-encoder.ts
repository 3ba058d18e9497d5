import { Worker } from "node:worker_threads";
import type { Clock } from "../../clock.ts";
import { MusterError } from "../../errors.ts";
import { type AvatarImages, IMAGE_PROBLEMS, type ImageProblem } from "./avatar-images.ts";
import type { WorkerAnswer } from "./image-worker.ts";

/** Turns images that anyone may have sent into avatars, away from the event loop. */
export interface ImageEncoder extends AsyncDisposable {
  /** AVATAR_INVALID; RATE_LIMITED if too many images wait; the signal's reason if the caller leaves while it waits. */
  encode(image: Uint8Array, signal?: AbortSignal): Promise<AvatarImages>;
}

export interface EncoderLimits {
  /** The most images that wait while one is decoded. With 5 MiB each, this bounds the memory they hold. */
  readonly mostWaiting: number;
  /** How long one image may take, in milliseconds: more than libvips gives itself, which ends first unless it hangs. */
  readonly timeoutMs: number;
  /** The worker's heap in MiB. Pixels are held outside of it, and bounded by their number. */
  readonly heapMb: number;
}

export const ENCODER_LIMITS: EncoderLimits = { mostWaiting: 16, timeoutMs: 20_000, heapMb: 128 };

/** What the worker runs. */
const PROGRAM = new URL("./image-worker.ts", import.meta.url);

/** When to come back after a refusal because too many wait, in milliseconds. */
const RETRY_MS = 2_000;

interface Job {
  readonly image: Uint8Array;
  readonly result: PromiseWithResolvers<AvatarImages>;
}

/** An encoder whose worker thread starts with the first image. It decodes one at a time: images must not take all processors. */
export function createImageEncoder(clock: Clock, limits = ENCODER_LIMITS, program = PROGRAM): ImageEncoder {
  const waiting = new Set<Job>();
  let busy = false;
  let ended = false;
  let worker: Worker | undefined;

  const stop = async () => {
    const stopped = worker;
    worker = undefined;
    await stopped?.terminate();
  };

  const forget = (gone: Worker) => {
    if (worker === gone) worker = undefined;
  };

  async function work(): Promise<void> {
    if (busy) return;
    busy = true;
    for (const job of waiting) {
      waiting.delete(job);
      try {
        worker ??= await startWorker(program, limits, forget);
        // All of it may have ended while the worker started.
        if (ended) throw shuttingDown();
        job.result.resolve(await ask(worker, job.image, limits, clock));
      } catch (error) {
        job.result.reject(ended ? shuttingDown() : (error as Error));
        // One that failed otherwise than by an answer is not asked again.
        if (ended || !(error instanceof MusterError) || error.extra.metadata?.["problem"] === "TIME") void stop();
      }
    }
    busy = false;
  }

  return {
    async encode(image, signal) {
      if (ended) throw shuttingDown();
      if (!isKnownFormat(image)) throw refusal("FORMAT");
      if (waiting.size >= limits.mostWaiting) throw new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_MS });
      const job: Job = { image, result: Promise.withResolvers() };
      const leave = () => {
        if (waiting.delete(job)) job.result.reject(signal?.reason);
      };
      signal?.throwIfAborted();
      signal?.addEventListener("abort", leave, { once: true });
      waiting.add(job);
      void work();
      return job.result.promise.finally(() => signal?.removeEventListener("abort", leave));
    },
    async [Symbol.asyncDispose]() {
      ended = true;
      for (const job of waiting) job.result.reject(shuttingDown());
      waiting.clear();
      await stop();
    },
  };
}

const shuttingDown = () => new MusterError("SHUTTING_DOWN");

const refusal = (problem: ImageProblem): MusterError =>
  new MusterError("AVATAR_INVALID", {
    metadata: { problem },
    violations: [{ field: "image", description: IMAGE_PROBLEMS[problem] }],
  });

async function startWorker(program: URL, { heapMb }: EncoderLimits, onExit: (gone: Worker) => void): Promise<Worker> {
  // libvips must stay loaded when the worker ends: its threads may outlive the worker's by a moment.
  await import("sharp");
  const worker = new Worker(program, {
    name: "muster-images",
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  // One that fails while nobody asks it must not end the process; the next image starts another.
  worker.on("error", () => onExit(worker)).on("exit", () => onExit(worker));
  worker.unref();
  return worker;
}

/** Sends the worker an image and waits for what it says. */
function ask(worker: Worker, image: Uint8Array, limits: EncoderLimits, clock: Clock): Promise<AvatarImages> {
  const { promise, resolve, reject } = Promise.withResolvers<AvatarImages>();
  const timer = clock.schedule(limits.timeoutMs, () => reject(refusal("TIME")));
  const onMessage = (answer: WorkerAnswer) =>
    "images" in answer ? resolve(answer.images) : reject(refusal(answer.problem));
  const onExit = () => reject(new Error("the image worker ended"));
  worker.on("message", onMessage).on("error", reject).on("exit", onExit);
  // It gets a copy: the image may lie in a buffer with the rest of its request.
  const copy = new Uint8Array(image);
  worker.postMessage(copy, [copy.buffer]);
  return promise.finally(() => {
    timer[Symbol.dispose]();
    worker.off("message", onMessage).off("error", reject).off("exit", onExit);
  });
}

/** How each format begins, as ISO 8859-1 text. */
const BEGINNINGS = [/^\xff\xd8\xff/, /^\x89PNG\r\n\x1a\n/, /^RIFF[^]{4}WEBP/];

function isKnownFormat(image: Uint8Array): boolean {
  const beginning = Buffer.from(image.subarray(0, 12)).toString("latin1");
  return BEGINNINGS.some((pattern) => pattern.test(beginning));
}
