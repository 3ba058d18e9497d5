import { createHash } from "node:crypto";
import { AwsClient } from "aws4fetch";
import type { Clock } from "../../clock.ts";
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

/** The bucket, by keys without the prefix. STORAGE_UNAVAILABLE while the service cannot be reached or is not well. */
export interface Bucket {
  put(key: string, body: Uint8Array<ArrayBuffer>, contentType: string, signal?: AbortSignal): Promise<void>;
  /** Undefined if there is no such object. */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /** An object that is not there counts as removed. */
  remove(key: string, signal: AbortSignal): Promise<void>;
}

/** How long one request may take, in milliseconds. */
const TIMEOUT_MS = 10_000;
const RETRY_MS = 1_000;

/** A client that signs by Signature Version 4 and names the bucket in the path, which every compatible service understands. */
export function createBucket(settings: BucketSettings, clock: Clock): Bucket {
  const { endpoint, bucket, prefix, region, accessKeyId, secretAccessKey } = settings;
  const signer = new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3" });
  const urlOf = (key: string) =>
    `${endpoint}/${bucket}/${`${prefix}${key}`.split("/").map(encodeURIComponent).join("/")}`;

  async function ask(key: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
    const late = new AbortController();
    using _timer = clock.schedule(TIMEOUT_MS, () => late.abort(new Error("the object storage did not answer in time")));
    try {
      const request = await signer.sign(urlOf(key), init);
      const given = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
      const response = await fetch(request, { signal: given, redirect: "error" });
      const body = await response.arrayBuffer();
      return new Response(response.status === 204 ? null : body, { status: response.status });
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
      const response = await ask(key, { method: "GET" }, signal);
      if (response.status === 404) return undefined;
      return new Uint8Array(await requireOk(response).arrayBuffer());
    },
    async remove(key, signal) {
      const response = await ask(key, { method: "DELETE" }, signal);
      if (response.status !== 404) requireOk(response);
    },
  };
}

/** What a service says of a refusal may repeat what was signed: only its status is told on. */
function requireOk(response: Response): Response {
  if (response.ok) return response;
  const cause = new Error(`the object storage answered ${response.status}`);
  if (response.status >= 500 || response.status === 429)
    throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: RETRY_MS, cause });
  throw cause;
}
