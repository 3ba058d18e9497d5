import { createHash } from "node:crypto";
import { AwsClient } from "aws4fetch";
import { systemClock } from "../../clock.ts";
import { createEgressTo } from "../../egress/create-egress.ts";
import type { Answer, EgressRequest } from "../../egress/egress.ts";
import { MusterError } from "../../errors.ts";

/** A bucket of an S3-compatible service. */
export interface BucketSettings {
  /** Where the service is, such as `https://s3.eu-central-1.amazonaws.com`. Comes from the configuration and is trusted. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** What every key begins with. */
  readonly prefix: string;
}

/**
 * The bucket, by keys without the prefix. STORAGE_UNAVAILABLE while the service cannot be reached or is not well. Disposing of it closes
 * its connections.
 */
export interface Bucket extends Disposable {
  put(key: string, body: Uint8Array<ArrayBuffer>, contentType: string, signal?: AbortSignal): Promise<void>;
  /** Undefined if there is no such object. */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /** An object that is not there counts as removed. */
  remove(key: string, signal: AbortSignal): Promise<void>;
}

type Asked = Pick<EgressRequest, "method" | "headers"> & { readonly body?: Uint8Array<ArrayBuffer> };

const RETRY_MS = 1_000;
/** The longest object that is taken, in bytes: an image of 512 × 512 pixels is shorter, however it is encoded. */
const MAX_BYTES = 2 * 1024 * 1024;

/** A client that signs by Signature Version 4 and names the bucket in the path, which every compatible service understands. */
export function createBucket(settings: BucketSettings): Bucket {
  const { endpoint, bucket, prefix, region, accessKeyId, secretAccessKey } = settings;
  const signer = new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3" });
  // A service refuses what is not signed at its own time, and its time is the machine's.
  const egress = createEgressTo(endpoint, systemClock);
  const urlOf = (key: string) =>
    `${endpoint}/${bucket}/${`${prefix}${key}`.split("/").map(encodeURIComponent).join("/")}`;

  async function ask(key: string, asked: Asked, signal?: AbortSignal): Promise<Answer> {
    const { url, headers } = await signer.sign(urlOf(key), asked);
    try {
      return await egress.request(url, {
        ...asked,
        headers: Object.fromEntries(headers),
        signal,
        maxBytes: MAX_BYTES,
      });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: RETRY_MS, cause: error });
    }
  }

  return {
    async put(key, body, contentType, signal) {
      const digest = createHash("sha256").update(body).digest("hex");
      const headers = { "content-type": contentType, "x-amz-content-sha256": digest };
      requireOk(await ask(key, { method: "PUT", headers, body }, signal));
    },
    async get(key, signal) {
      const answer = await ask(key, { method: "GET" }, signal);
      if (answer.status === 404) return undefined;
      return requireOk(answer).body;
    },
    async remove(key, signal) {
      const answer = await ask(key, { method: "DELETE" }, signal);
      if (answer.status !== 404) requireOk(answer);
    },
    [Symbol.dispose]: () => egress[Symbol.dispose](),
  };
}

/** What a service says of a refusal may repeat what was signed: only its status is told on. */
function requireOk(answer: Answer): Answer {
  const { status } = answer;
  if (status >= 200 && status < 300) return answer;
  const cause = new Error(`the object storage answered ${status}`);
  if (status < 400 || status >= 500 || status === 429)
    throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: RETRY_MS, cause });
  throw cause;
}
