import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, request as forward, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "@20minutes/s3rver";
import { afterAll } from "vitest";
import type { BucketSettings } from "../../src/users/avatars/s3-bucket.ts";

/** An S3 server that checks signatures, behind a door that can be shut. */
export interface S3Server {
  readonly settings: BucketSettings;
  /** The keys of all objects in the bucket. */
  keys(): Promise<string[]>;
  /** Which requests are refused from now on, with 503; those that are left unanswered are only looked at. */
  refuse(matches: (method: string, path: string) => boolean | "hang"): void;
}

const BUCKET = "muster-test";

/** Starts a server with an empty bucket, on a free port; ended after the file. */
export async function startS3Server(): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), "muster-s3-"));
  const options = { directory, address: "127.0.0.1", port: 0, silent: true, vhostBuckets: false };
  const server = new S3rver({ ...options, configureBuckets: [{ name: BUCKET }] });
  const { port } = await server.run();
  let isRefused: Parameters<S3Server["refuse"]>[0] = () => false;
  const door = await openDoor(port, (method, path) => isRefused(method, path));
  afterAll(async () => {
    door.closeAllConnections();
    door.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    settings: {
      endpoint: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
      bucket: BUCKET,
      region: "eu-test-1",
      accessKeyId: "S3RVER",
      secretAccessKey: "S3RVER",
      prefix: "pictures/v1.",
    },
    async keys() {
      const files = await readdir(join(directory, BUCKET), { recursive: true });
      return files.flatMap((file) => /^(.*)\._S3rver_object$/.exec(file)?.[1] ?? []).sort();
    },
    refuse(matches) {
      isRefused = matches;
    },
  };
}

/** A port that hands every request on as it is, its Host header included, unless it is to be refused. */
async function openDoor(port: number, isRefused: Parameters<S3Server["refuse"]>[0]): Promise<Server> {
  const door = createServer((incoming, answer) => {
    const { method = "", url = "", headers } = incoming;
    const refusal = isRefused(method, url);
    if (refusal === "hang") return;
    if (refusal) {
      incoming.resume();
      answer.writeHead(503).end();
      return;
    }
    const passed = forward({ host: "127.0.0.1", port, method, path: url, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  return door;
}
