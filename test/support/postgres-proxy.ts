import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { DatabaseAddress } from "../../src/db/orm.ts";

/** Decides over a notification on its way: gives after how many milliseconds each of its copies arrives; none: it is lost. */
export type Tampering = (channel: string) => readonly number[];

/** A way to a database on which things go wrong. */
export interface PostgresProxy extends AsyncDisposable {
  /** The database by way of the proxy. */
  readonly address: DatabaseAddress;
  /** Where new connections lead. */
  target: DatabaseAddress;
  /** What becomes of notifications; left out: they arrive. */
  tamper: Tampering | undefined;
  /** Has connections carry nothing any more, by their application's name, without either side being told; gives how many. */
  silence(isMeant?: (applicationName: string) => boolean): number;
  /** Ends all connections on both sides. */
  cut(): void;
}

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
  applicationName: string;
  isSilent: boolean;
}

/** Listens on a free port of this machine. */
export async function startPostgresProxy(target: DatabaseAddress): Promise<PostgresProxy> {
  const connections = new Set<Connection>();
  // A peer that says no word more does not say either that it has closed.
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ allowHalfOpen: true, ...socketOf(proxy.target) });
    carry(proxy, connections, { near, far, applicationName: "", isSilent: false });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: PostgresProxy = {
    address: { ...target, host: "127.0.0.1", port },
    target,
    tamper: undefined,
    silence(isMeant = () => true) {
      const meant = [...connections].filter(({ applicationName, isSilent }) => !isSilent && isMeant(applicationName));
      for (const connection of meant) connection.isSilent = true;
      return meant.length;
    },
    cut() {
      for (const { near, far } of connections) for (const socket of [near, far]) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      proxy.cut();
    },
  };
  return proxy;
}

const socketOf = ({ host, port }: DatabaseAddress) =>
  host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };

function carry(proxy: PostgresProxy, connections: Set<Connection>, connection: Connection): void {
  const { near, far } = connection;
  connections.add(connection);
  const send = (to: Socket, bytes: Buffer) => {
    if (!connection.isSilent && to.writable) to.write(bytes);
  };
  near.once("data", (startup: Buffer) => {
    connection.applicationName = /application_name\0([^\0]*)\0/.exec(startup.toString("latin1"))?.[1] ?? "";
  });
  near.on("data", (bytes: Buffer) => send(far, bytes));
  far.on(
    "data",
    splitMessages((message) => {
      const channel = channelOf(message);
      const delays = channel === undefined ? undefined : proxy.tamper?.(channel);
      if (!delays) return send(near, message);
      for (const delay of delays) setTimeout(() => send(near, message), delay);
    }),
  );
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.on("end", () => connection.isSilent || to.end());
    from.on("error", () => {});
    from.on("close", () => connection.isSilent || to.destroy());
  }
  near.on("close", () => connections.delete(connection));
}

/** Cuts what Postgres sends into its messages: a letter, the length, the rest. */
function splitMessages(take: (message: Buffer) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = rest.readUInt32BE(1) + 1;
      take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}

/** The channel of a notification; undefined: the message is something else. */
function channelOf(message: Buffer): string | undefined {
  if (message[0] !== "A".charCodeAt(0)) return undefined;
  return message.toString("utf8", 9, message.indexOf(0, 9));
}
