import { parentPort } from "node:worker_threads";
import type { AvatarImages, ImageProblem } from "./avatar-images.ts";
import { encodeAvatar, restrictDecoders, UnusableImage } from "./encode-avatar.ts";

/** What the worker says of the image it was sent. */
export type WorkerAnswer = { readonly images: AvatarImages } | { readonly problem: ImageProblem };

restrictDecoders();

parentPort?.on("message", (image: Uint8Array) => {
  void answerTo(image).then((answer) => parentPort?.postMessage(answer));
});

async function answerTo(image: Uint8Array): Promise<WorkerAnswer> {
  try {
    return { images: await encodeAvatar(image) };
  } catch (error) {
    if (error instanceof UnusableImage) return { problem: error.problem };
    throw error;
  }
}
