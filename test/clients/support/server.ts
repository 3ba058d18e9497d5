import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A server in a process of its own, started as its users start it: on an empty data folder, with a development project. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly projectId: string;
  readonly accessKey: string;
  readonly operatorKey: string;
  /** Calls an RPC by its path, such as `UserService/GetUser`, with the access key. Throws unless it succeeds. */
  call(rpc: string, request: object): Promise<Record<string, unknown>>;
}

/** Starts one; rejects with what the process said if it ends before it listens. */
export async function startServerProcess(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), "muster-client-"));
  const child = spawn(process.execPath, ["src/main.ts", "serve"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      MUSTER_DATA_DIR: folder,
      MUSTER_PORT: "0",
      MUSTER_LOG_LEVEL: "error",
      ...env,
    },
  });
  const stop = async () => {
    if (child.exitCode === null && child.kill("SIGTERM")) await once(child, "exit");
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const url = await addressOf(child);
    const credentials = JSON.parse(await readFile(join(folder, "dev-credentials.json"), "utf8")) as Record<
      string,
      string
    >;
    const { project_id: projectId = "", access_key: accessKey = "", operator_key: operatorKey = "" } = credentials;
    const call = (rpc: string, request: object) => callJson(`${url}/muster.v1.${rpc}`, accessKey, request);
    return { url, projectId, accessKey, operatorKey, call, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function addressOf(child: ChildProcess & { stdout: object | null }): Promise<string> {
  const said: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  const ended = once(child, "exit").then(() => {
    throw new Error(`the server ended before it listened: ${said.join("")}`);
  });
  ended.catch(() => {});
  if (!child.stdout) throw new Error("the server's output is not read");
  const lines = createInterface(child.stdout);
  const listening = new Promise<string>((found) => {
    lines.on("line", (line) => {
      const url = /^muster listening on (\S+)$/.exec(line)?.[1];
      if (url) found(url);
    });
  });
  return Promise.race([listening, ended]);
}

async function callJson(url: string, accessKey: string, request: object): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${accessKey}` };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(request) });
  const body = await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${body}`);
  return JSON.parse(body) as Record<string, unknown>;
}
