import { onTestFinished } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startBalancer } from "../support/balancer.ts";
import { type MusterProcess, startMuster } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";
import { type OpenWatch, openWatch } from "../support/watch.ts";

const refTo = (value: string) => ({ ref: { case: "id", value } }) as const;

/** Several server processes of one deployment, a balancer in front of them, and a project. */
export async function startServerGroup(count: number, env: Record<string, string>) {
  const servers: MusterProcess[] = [await startMuster(env)];
  while (servers.length < count) servers.push(await startMuster(env));
  const balancer = await startBalancer(servers.map(({ url }) => url));
  onTestFinished(() => balancer[Symbol.asyncDispose]());
  const reachOf = (url: string) => reach(url, env["MUSTER_OPERATOR_KEY"] ?? "");
  const front = reachOf(balancer.url);
  const { accessKey } = await front.project();
  /** The presences, at one server, or by a connection of its own to whichever the balancer gives. */
  const presences = (server?: number) => {
    const url = server === undefined ? balancer.url : (servers[server]?.url ?? "");
    return reachOf(url).client(PresenceService, accessKey);
  };
  return {
    servers,
    async user(): Promise<string> {
      const { user } = await front.client(UserService, accessKey).upsertUser({});
      return user?.id ?? "";
    },
    deleteUser: (id: string) => front.client(UserService, accessKey).deleteUser({ ref: refTo(id) }),
    set: (id: string, status: string, server?: number) =>
      presences(server).setPresence({ ref: refTo(id), presence: { status } }),
    async get(id: string, server?: number): Promise<string> {
      return (await presences(server).getPresence({ ref: refTo(id) })).presence?.status ?? "";
    },
    watch(ids: readonly string[], server?: number): Promise<OpenWatch> {
      const url = server === undefined ? balancer.url : (servers[server]?.url ?? "");
      return openWatch(reachOf(url).transport("gRPC", accessKey), ids);
    },
  };
}

export type ServerGroup = Awaited<ReturnType<typeof startServerGroup>>;

/** Reads a watch until it tells that a user is so. Gives all that was told of it on the way. */
export async function untilTold(watch: OpenWatch, id: string, status: string): Promise<string[]> {
  const told: string[] = [];
  while (told.at(-1) !== status) {
    const event = await watch.next();
    if (event.case === "update")
      told.push(...event.value.presences.filter(({ userId }) => userId === id).map((it) => it.status));
  }
  return told;
}

/** What a deployment of any number of servers does, whatever keeps the presences. */
export async function proveGroup(group: ServerGroup): Promise<string[]> {
  const { servers, set, get, watch, user } = group;
  const [ada, bob] = [await user(), await user()];
  const everywhere = await Promise.all([...servers.keys(), undefined].map((server) => watch([ada, bob], server)));
  const wrong: string[] = [];
  for (const [at] of servers.entries()) {
    const status = `set at ${at}`;
    await set(ada, status, at);
    for (const [by] of servers.entries()) if ((await get(ada, by)) !== status) wrong.push(`${by} reads otherwise`);
    for (const it of everywhere) {
      const told = await untilTold(it, ada, status);
      if (told.length !== 1) wrong.push(`told ${told.join()} of ${status}`);
    }
  }
  // By connections that the balancer spreads, all at once: each watcher sees the same in the end.
  const settings = Array.from({ length: 12 }, (_, n) => set(bob, `s${n}`));
  await Promise.all(settings);
  const last = await get(bob);
  for (const it of everywhere) await untilTold(it, bob, last);
  return wrong;
}
