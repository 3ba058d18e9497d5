import { randomBytes } from "node:crypto";
import sharp from "sharp";
import { expect, onTestFinished, test } from "vitest";
import type { MusterError } from "../../src/errors.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createImageEncoder, ENCODER_LIMITS } from "../../src/users/avatars/image-encoder.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { plain, someImage } from "./avatar-fixture.ts";

/** An image that takes a while. */
const heavy = await plain(6_000, 4_000).png().toBuffer();

function startEncoder(limits = ENCODER_LIMITS) {
  const clock = createFakeClock();
  const encoder = createImageEncoder(clock, limits);
  onTestFinished(() => encoder[Symbol.asyncDispose]());
  return { clock, encoder };
}

/** Why the encoder refuses. */
const refusalBy = (work: Promise<unknown>): Promise<MusterError> =>
  work.then(
    () => Promise.reject(new Error("not refused")),
    (error: unknown) => error as MusterError,
  );

test("fifty uploads at once: as many as may wait are taken, the others are told to come back", async () => {
  const app = await startApp();
  const users = (await app.project()).system(UserService);
  await users.upsertUser({ externalId: "alice" });
  const ref = { ref: { case: "externalId", value: "alice" } } as const;
  const image = await plain(3_000, 2_000).png().toBuffer();
  const calls = Array.from({ length: 50 }, () => users.setAvatar({ ref, image }));
  const outcomes = await Promise.all(
    calls.map((call) =>
      call.then(
        () => undefined,
        () => refusalOf(call),
      ),
    ),
  );
  const refusals = outcomes.filter((outcome) => outcome !== undefined);
  expect(outcomes.length - refusals.length).toBeGreaterThan(ENCODER_LIMITS.mostWaiting);
  expect(refusals.length).toBeGreaterThan(0);
  for (const { reason, retryAfter } of refusals) expect([reason, retryAfter]).toEqual(["RATE_LIMITED", 2]);
  expect((await users.setAvatar({ ref, image: await someImage(1) })).user?.avatarUrl).not.toBe("");
});

test("while an image is decoded, the event loop is free", async () => {
  const { encoder } = startEncoder();
  await encoder.encode(await someImage(1));
  let turns = 0;
  let done = false;
  const encoding = encoder.encode(heavy).then(() => {
    done = true;
  });
  // A loop that were held would turn a few times in all.
  const turn = () => {
    turns += 1;
    if (!done) setTimeout(turn, 1);
  };
  turn();
  await encoding;
  expect(turns).toBeGreaterThan(10);
});

test("an image that takes too long is given up, and the next one is taken", async () => {
  const { clock, encoder } = startEncoder();
  await encoder.encode(await someImage(1));
  const refused = refusalBy(encoder.encode(heavy));
  const next = encoder.encode(await someImage(2));
  await clock.advance(ENCODER_LIMITS.timeoutMs);
  const { reason, extra } = await refused;
  expect([reason, extra.metadata]).toEqual(["AVATAR_INVALID", { problem: "TIME" }]);
  expect((await sharp((await next)[64]).metadata()).width).toBe(64);
});

test("an upload whose caller leaves while it waits is not decoded, and makes room", async () => {
  const { encoder } = startEncoder({ ...ENCODER_LIMITS, mostWaiting: 1 });
  const first = encoder.encode(heavy);
  const left = new AbortController();
  const second = encoder.encode(heavy, left.signal);
  expect((await refusalBy(encoder.encode(heavy))).reason).toBe("RATE_LIMITED");
  left.abort(new Error("left"));
  await expect(second).rejects.toThrow("left");
  const third = encoder.encode(await someImage(1));
  await Promise.all([first, third]);
  await expect(encoder.encode(heavy, AbortSignal.abort(new Error("left before")))).rejects.toThrow("left before");
});

test.for(["throw new Error('broken')", "process.exit(1)"])(
  "a worker that ends (%s) fails its image and not the process, and the next image has another worker",
  async (end) => {
    const answer = `image.length > 10_000 ? (() => { ${end} })() : parentPort.postMessage({ images: {} })`;
    const program = `import { parentPort } from "node:worker_threads"; parentPort.on("message", (image) => ${answer});`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
    const encoder = createImageEncoder(createFakeClock(), ENCODER_LIMITS, url);
    onTestFinished(() => encoder[Symbol.asyncDispose]());
    const light = await someImage(1);
    const outcomes = await Promise.allSettled([heavy, light, heavy, light].map((image) => encoder.encode(image)));
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
  },
);

test("what is under way or waits when the server ends is told so, and nothing more is taken", async () => {
  const { encoder } = startEncoder();
  await encoder.encode(await someImage(1));
  const refused = [heavy, heavy].map((image) => refusalBy(encoder.encode(image)));
  await encoder[Symbol.asyncDispose]();
  refused.push(refusalBy(encoder.encode(heavy)));
  expect((await Promise.all(refused)).map(({ reason }) => reason)).toEqual(Array(3).fill("SHUTTING_DOWN"));
});

test("noise, which compresses worst, is taken", async () => {
  const { encoder } = startEncoder();
  const noise = sharp(randomBytes(1_200 * 1_200 * 3), { raw: { width: 1_200, height: 1_200, channels: 3 } });
  const images = await encoder.encode(await noise.png().toBuffer());
  expect(images[512].length).toBeGreaterThan(images[64].length);
});
