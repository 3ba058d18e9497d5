import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { RedisConnection } from "../../src/presence/redis/redis-connection.ts";
import { channelOf, slotOf } from "../../src/presence/redis/tags.ts";
import { eventually } from "../presence/presence-fixture.ts";
import { startRedisProxy } from "./support/redis-proxy.ts";
import { startRedis } from "./support/redis-server.ts";

const redis = await startRedis("--cluster-enabled", "yes");
afterAll(() => redis[Symbol.asyncDispose]());
const [channel, slot] = [channelOf(7), String(slotOf(7))];

test("a channel that left the server and came back is heard again, whether or not its leaving was heard of", async () => {
  await redis.send("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await using proxy = await startRedisProxy(redis.port);
  const heard: string[] = [];
  const events = { onMessage: (message: string) => heard.push(message), onLost() {} };
  using connection = await RedisConnection.open(proxy.address, systemClock, events);
  const publish = (message: string) => redis.send("SPUBLISH", channel, message);
  await eventually(() =>
    connection.subscribe(channel).then(
      () => true,
      () => false,
    ),
  );
  for (const passes of [true, false]) {
    let left = false;
    proxy.meddle = (notification) => {
      left ||= notification.includes("sunsubscribe");
      return notification.includes("sunsubscribe") && !passes ? [] : [notification];
    };
    await redis.send("CLUSTER", "DELSLOTS", slot);
    await eventually(() => left);
    proxy.meddle = undefined;
    await redis.send("CLUSTER", "ADDSLOTS", slot);
    await eventually(() =>
      connection.subscribe(channel).then(
        () => true,
        () => false,
      ),
    );
    await publish(`passes: ${passes}`);
    await eventually(() => heard.length > 0);
    expect(heard.splice(0)).toEqual([`passes: ${passes}`]);
  }
});
