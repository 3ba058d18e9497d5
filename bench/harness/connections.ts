import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { envelope } from "./floor-server.ts";
import { connectHttp1, type Http1Connection } from "./http1-connection.ts";
import type { Call, Protocol } from "./row.ts";

/** Open connections to one server. */
export interface Connections {
  /** Makes a call over the `index`th connection, counted round. Rejects unless the answer is an OK one. */
  send(index: number, call: Call, message: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export async function connect(protocol: Protocol, port: number, count: number): Promise<Connections> {
  if (protocol === "connect-json-h1") {
    const connections = await Promise.all(Array.from({ length: count }, () => connectHttp1(port)));
    return {
      send: (index, call, message) => (connections[index % count] as Http1Connection).post(call, message),
      close: () => connections.forEach((connection) => connection.close()),
    };
  }
  const sessions = await Promise.all(Array.from({ length: count }, () => openSession(port)));
  return {
    send: (index, call, message) => sendHttp2(sessions[index % count] as ClientHttp2Session, call, message),
    close: () => sessions.forEach((session) => session.destroy()),
  };
}

/** An HTTP/2 connection to a server on this machine. */
export function openSession(port: number): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { enablePush: false } });
    session.once("error", reject);
    session.once("connect", () => resolve(session));
  });
}

/** The header fields of a call over HTTP/2. */
export const requestHeaders = ({ protocol, path, headers }: Pick<Call, "protocol" | "path" | "headers">) => ({
  ":method": "POST",
  ":path": path,
  ...(protocol === "grpc"
    ? { "content-type": "application/grpc", te: "trailers" }
    : { "content-type": "application/json", "connect-protocol-version": "1" }),
  ...headers,
});

function sendHttp2(session: ClientHttp2Session, call: Call, message: Uint8Array): Promise<Uint8Array> {
  const grpc = call.protocol === "grpc";
  return new Promise((resolve, reject) => {
    const stream = session.request(requestHeaders(call));
    let status: unknown;
    let grpcStatus: unknown;
    let body: Buffer | undefined;
    stream.on("response", (headers) => {
      status = headers[":status"];
      grpcStatus = headers["grpc-status"];
    });
    stream.on("trailers", (trailers) => {
      grpcStatus = trailers["grpc-status"];
      if (grpcStatus !== "0")
        reject(new Error(`grpc-status ${String(grpcStatus)}: ${String(trailers["grpc-message"])}`));
    });
    stream.on("data", (chunk: Buffer) => {
      body = body ? Buffer.concat([body, chunk]) : chunk;
    });
    stream.on("error", reject);
    stream.on("close", () => {
      if (status !== 200 || (grpc && grpcStatus !== "0"))
        reject(new Error(`status ${status}, grpc-status ${grpcStatus}: ${body}`));
      else if (!body) reject(new Error("an answer without a message"));
      else resolve(grpc ? body.subarray(5) : body);
    });
    stream.end(grpc ? envelope(message) : message);
  });
}
