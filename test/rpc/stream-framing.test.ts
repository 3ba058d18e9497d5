import { create, type Message } from "@bufbuild/protobuf";
import { createMethodSerializationLookup } from "@connectrpc/connect/protocol";
import { expect, test } from "vitest";
import { EventService, WatchEventsResponseSchema } from "../../src/gen/muster/v1/event_service_pb.ts";
import { createKeptBytes } from "../../src/rpc/kept-bytes.ts";
import { createFrames } from "../../src/rpc/stream-framing.ts";

const { watchEvents } = EventService.method;

test.for(["binary", "json"] as const)(
  "what many streams say as a whole is serialised once as %s, and each stream says it",
  (codec) => {
    const lookup = createMethodSerializationLookup(watchEvents, undefined, undefined, {
      readMaxBytes: 1_000,
      writeMaxBytes: 1_000,
    });
    let times = 0;
    const serialize = (message: Message) => {
      times++;
      return lookup.getO(codec === "binary").serialize(message as never);
    };
    const serialization = { ...lookup, getO: () => ({ ...lookup.getO(codec === "binary"), serialize }) };
    const callee = {
      serialization: serialization as never,
      writeShared: createKeptBytes(new Set([WatchEventsResponseSchema]))(WatchEventsResponseSchema),
      keptJson: new WeakMap<Message, Uint8Array>(),
    };
    const streams = [1, 2, 3].map(() => createFrames(callee, codec, Number.POSITIVE_INFINITY, 1_000));
    const messageOf = (cursor: string) => create(WatchEventsResponseSchema, { cursor });
    const [first, second] = [messageOf("one"), messageOf("two")];
    for (const message of [first, second, first]) {
      const expected = lookup.getO(codec === "binary").serialize(message);
      for (const frameOf of streams)
        expect(Buffer.from(frameOf(message) as Uint8Array).subarray(5)).toEqual(Buffer.from(expected));
    }
    // As binary what is shared goes out as the very same bytes, not written frame by frame.
    const frames = new Set(streams.map((frameOf) => frameOf(first)));
    expect({ times, frames: frames.size }).toEqual(
      codec === "json" ? { times: 2, frames: 3 } : { times: 0, frames: 1 },
    );
    expect(() => Object.assign(first, { cursor: "three" })).toThrow(TypeError);
    const copy = { ...first, cursor: "four" };
    expect(Buffer.from((streams[0]?.(copy) ?? "") as Uint8Array).toString()).toContain("four");
  },
);
