import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { UpsertUserRequestSchema } from "../../../src/gen/muster/v1/user_service_pb.ts";
import type { BehaviourName } from "./behaviours.ts";
import { type Carrier, type Draft, draftOf, headerFor, isGrpc, UPSERT_USER, WATCH_PRESENCE } from "./carriers.ts";
import { USER_TOKEN } from "./twin-servers.ts";

/** A request that differs from the usual one; undefined: there is none of this carrier. */
export interface Variant {
  readonly name: string;
  draft(carrier: Carrier): Draft | undefined;
  /** Whether it is for the protocol handlers. */
  readonly falls?: (carrier: Carrier) => boolean;
}

type Change = (draft: Draft, carrier: Carrier) => Partial<Draft> | undefined;

const variant = (name: string, behaviour: BehaviourName, change: Change, falls?: Variant["falls"]): Variant => ({
  name,
  draft(carrier) {
    const draft = draftOf(carrier, behaviour);
    const changed = change(draft, carrier);
    return changed && { ...draft, ...changed };
  },
  ...(falls && { falls }),
});

const always = () => true;

/** The headers, without those that are undefined. */
const withHeaders = ({ headers }: Draft, more: Record<string, string | undefined>): Pick<Draft, "headers"> => {
  const all = Object.entries({ ...headers, ...more });
  return { headers: Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))) };
};

const header = (
  name: string,
  headers: Record<string, string | undefined>,
  behaviour: BehaviourName = "tells what it was told",
) => variant(name, behaviour, (draft) => withHeaders(draft, headers));

const HEADERS = [
  header("no credential", { authorization: undefined }),
  header("a credential that is none", { authorization: "Bearer msk_bad" }),
  header("a credential of another kind", { authorization: "Basic eDp5" }),
  header("a user's credential", { authorization: `Bearer ${USER_TOKEN}` }),
  header("a cookie without an origin", { authorization: undefined, cookie: `__Host-muster-session=${USER_TOKEN}` }),
  header("a cookie and an origin", {
    ...{ authorization: undefined, cookie: `a=b; __Host-muster-session=${USER_TOKEN}`, origin: "https://app.example" },
  }),
  header("a known origin", { origin: "https://app.example" }),
  header("a known origin of a call that fails", { origin: "https://app.example" }, "fails by a reason"),
  header("an unknown origin", { origin: "https://evil.example" }),
  header("an origin that is none", { origin: "null" }),
  header("no request id", { "x-request-id": undefined }),
  header("a request id that is none", { "x-request-id": "not an id!" }),
  header("a forwarded address", { "x-forwarded-for": "192.0.2.7" }),
  header("headers of its own", { "x-sent": "ü", "x-bytes-bin": "AAEC", "x-sent-twice": "a, b", traceparent: "00-bad" }),
  header("much that nobody asked for", Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`x-${n}`, "v"]))),
  header("a user agent of a browser", { "user-agent": "Mozilla/5.0", accept: "*/*", "accept-language": "de" }),
];

const timeout = (name: string, value: { readonly grpc: string; readonly connect: string }, behaviour: BehaviourName) =>
  variant(name, behaviour, (draft, carrier) =>
    withHeaders(draft, { [headerFor(carrier, "timeout")]: isGrpc(carrier) ? value.grpc : value.connect }),
  );

const TIMEOUTS = [
  timeout("a deadline of an hour", { grpc: "1H", connect: "3600000" }, "tells what it was told"),
  timeout("a deadline beyond the longest", { grpc: "99999999H", connect: "9999999999" }, "tells what it was told"),
  timeout("a deadline of nothing", { grpc: "0S", connect: "0" }, "tells what it was told"),
  timeout("a deadline of nothing, and waits", { grpc: "0n", connect: "0" }, "gives up when it is too late"),
  timeout("a deadline that passes", { grpc: "20m", connect: "20" }, "gives up when it is too late"),
  timeout("a deadline that does not matter", { grpc: "20000u", connect: "20" }, "does not mind being late"),
  timeout("a deadline that is none", { grpc: "soon", connect: "-1" }, "answers"),
  timeout("a deadline with too many digits", { grpc: "123456789S", connect: "12345678901" }, "answers"),
  timeout("a deadline in another protocol's form", { grpc: "1000", connect: "1S" }, "answers"),
];

const accepts = (name: string, accepted: string, behaviour: BehaviourName) =>
  variant(name, behaviour, (draft, carrier) => withHeaders(draft, { [headerFor(carrier, "accept")]: accepted }));

const COMPRESSION = [
  accepts("gzip for a long answer", "gzip", "answers at length"),
  accepts("gzip for a short answer", "gzip", "answers"),
  accepts("gzip for an answer just too short", "gzip", "answers just below what is compressed"),
  accepts("gzip for a long failure", "gzip", "fails at length"),
  accepts("gzip for a short failure", "gzip", "fails by a reason"),
  accepts("gzip among others", "br, gzip ,identity", "answers at length"),
  accepts("another compression", "br", "answers at length"),
  accepts("no compression", "identity", "answers at length"),
  accepts("nothing in particular", "", "answers at length"),
  accepts("gzip by weight", "gzip;q=1.0", "answers at length"),
  ...(["answers", "answers at length", "fails by a reason"] as const).map((behaviour) =>
    variant(`a compressed message that ${behaviour}`, behaviour, (draft, carrier) => {
      const message = gzipSync(draft.message);
      if (!carrier.contentType) return { message, query: { compression: "gzip" } };
      return { ...withHeaders(draft, { [headerFor(carrier, "encoding")]: "gzip" }), message, flags: 1 };
    }),
  ),
  variant("a message that is not compressed though it may be", "answers at length", (draft, carrier) =>
    carrier.enveloped ? withHeaders(draft, { [headerFor(carrier, "encoding")]: "gzip" }) : undefined,
  ),
  variant("a message that is said to be gzip", "answers", (draft, carrier) => {
    if (!carrier.contentType) return { query: { compression: "gzip" } };
    return { ...withHeaders(draft, { [headerFor(carrier, "encoding")]: "gzip" }), flags: 1 };
  }),
  variant("a message of another compression", "answers", (draft, carrier) => {
    if (!carrier.contentType) return { query: { compression: "br" } };
    return { ...withHeaders(draft, { [headerFor(carrier, "encoding")]: "br" }), flags: 1 };
  }),
  variant("a compressed message without a word on how", "answers", (draft, carrier) =>
    carrier.enveloped ? { message: gzipSync(draft.message), flags: 1 } : undefined,
  ),
  variant("a message that is far longer unpacked", "answers", (draft, carrier) => {
    const message = gzipSync(Buffer.alloc(1_000_000, " "));
    if (!carrier.contentType) return { message, query: { compression: "gzip" } };
    return { ...withHeaders(draft, { [headerFor(carrier, "encoding")]: "gzip" }), message, flags: 1 };
  }),
];

const of = (text: string) => ({ message: Buffer.from(text) });
const MESSAGES = [
  variant("an empty message", "answers", () => ({ message: new Uint8Array() })),
  variant("random bytes", "answers", () => ({ message: Uint8Array.of(0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff) })),
  variant("half a message", "answers", (draft) => ({ message: draft.message.subarray(0, -2) })),
  variant("a message that says nothing", "answers", (_, { codec }) => of(codec === "json" ? "{}" : "\x0a\x00")),
  variant("a message with an unknown field", "answers", (draft, { codec }) => ({
    message: Buffer.concat(
      codec === "json"
        ? [Buffer.from('{"x":{"y":[1]},'), draft.message.subarray(1)]
        : [draft.message, Buffer.of(0x78, 1)],
    ),
  })),
  variant("a message of the other codec", "answers", (_, { codec }) =>
    of(codec === "json" ? "\x0a\x02\x12\x00" : "{}"),
  ),
  variant("a message of invalid UTF-8", "answers", (_, { codec }) => ({
    message:
      codec === "json" ? Buffer.from('{"ref":{"externalId":"\xff"}}', "latin1") : Buffer.of(10, 4, 18, 2, 0xc3, 0x28),
  })),
  variant("a message that is too long", "answers", (draft, { contentType }) =>
    contentType ? { message: Buffer.concat([draft.message, Buffer.alloc(40_000, " ")]) } : undefined,
  ),
  variant("a message that is too long for who is nobody", "answers", (draft, { contentType }) =>
    contentType
      ? { ...withHeaders(draft, { authorization: undefined }), message: Buffer.alloc(2_000, " ") }
      : undefined,
  ),
  variant("a message of another method", "answers", (_, { codec, contentType, isStream }) => {
    if (!contentType) return undefined;
    const schema = UpsertUserRequestSchema;
    const message = toBinary(schema, create(schema, { externalId: "other", user: { name: "x" } }));
    return {
      path: isStream ? WATCH_PRESENCE : UPSERT_USER,
      message: codec === "json" ? Buffer.from('{"externalId":"other"}') : message,
    };
  }),
];

const envelopes = (name: string, body: (message: Uint8Array) => Uint8Array) =>
  variant(name, "answers", ({ message }, { enveloped }) => (enveloped ? { body: body(message) } : undefined));

const ENVELOPES = [
  envelopes("no message", () => new Uint8Array()),
  envelopes("two messages", (message) => Buffer.concat([encodeEnvelope(0, message), encodeEnvelope(0, message)])),
  envelopes("half an envelope", () => Buffer.of(0, 0, 0)),
  envelopes("an envelope that is longer than the body", (message) => encodeEnvelope(0, message).subarray(0, -1)),
  envelopes("an envelope that is shorter than the body", (message) =>
    Buffer.concat([encodeEnvelope(0, message), Buffer.of(1)]),
  ),
  envelopes("unknown flags", (message) => encodeEnvelope(0x40, message)),
  envelopes("an end of stream after it", (message) =>
    Buffer.concat([encodeEnvelope(0, message), encodeEnvelope(2, new Uint8Array())]),
  ),
  envelopes("trailers after it", (message) =>
    Buffer.concat([encodeEnvelope(0, message), encodeEnvelope(0x80, new Uint8Array())]),
  ),
  envelopes("an envelope of four gigabytes", () => Buffer.of(0, 0xff, 0xff, 0xff, 0xff, 1)),
];

const posted = (name: string, change: Change, falls?: Variant["falls"]) =>
  variant(name, "answers", (draft, carrier) => (carrier.contentType ? change(draft, carrier) : undefined), falls);

const REQUESTS = [
  posted("a method that there is not", () => ({ path: "/muster.v1.UserService/Nothing" }), always),
  posted("a service that there is not", () => ({ path: "/no.such.Service/GetUser" }), always),
  posted("a method that is not served", () => ({ path: "/muster.v1.UserService/DeleteUser" }), always),
  posted("a query that nobody asked for", ({ path }) => ({ path: `${path}?x=1` })),
  posted("PUT", () => ({ method: "PUT" }), always),
  posted(
    "a content type in capitals",
    (draft, { contentType = "" }) => withHeaders(draft, { "content-type": contentType.toUpperCase() }),
    always,
  ),
  posted(
    "a content type with a parameter",
    (draft, { contentType = "" }) => withHeaders(draft, { "content-type": `${contentType};x=y` }),
    always,
  ),
  posted("no content type", (draft) => withHeaders(draft, { "content-type": undefined }), always),
  posted("a content type of a page", (draft) => withHeaders(draft, { "content-type": "text/plain" }), always),
  posted("gRPC-Web in base64", (draft) => withHeaders(draft, { "content-type": "application/grpc-web-text" }), always),
  posted(
    "a content type of a call of the other kind",
    (draft, { isStream }) =>
      withHeaders(draft, { "content-type": isStream ? "application/json" : "application/connect+json" }),
    always,
  ),
  posted("an expectation", (draft) => withHeaders(draft, { expect: "100-continue" }), always),
  posted("a body announced as too long", (draft) => ({
    ...withHeaders(draft, { "content-length": "99999999" }),
    ends: false,
  })),
  posted("a body that never ends", () => ({ ends: false })),
  variant("HEAD", "answers", (_, { contentType }) => (contentType ? undefined : { method: "HEAD" }), always),
  variant(
    "a query without an encoding",
    "answers",
    (_, { contentType }) => (contentType ? undefined : { query: { encoding: "" } }),
    always,
  ),
  variant("a query in plain text", "answers", (draft, { contentType }) =>
    contentType ? undefined : { query: { base64: "0", message: Buffer.from(draft.message).toString("latin1") } },
  ),
  variant("a query of broken base64", "answers", (_, { contentType }) =>
    contentType ? undefined : { query: { message: "!!" } },
  ),
  variant("a query without a message", "answers", (_, { contentType }) =>
    contentType ? undefined : { query: { message: "" } },
  ),
  variant(
    "a GET of what changes something",
    "answers",
    (_, { contentType }) => (contentType ? undefined : { path: UPSERT_USER }),
    always,
  ),
  variant(
    "a GET with a content type",
    "answers",
    (draft, { contentType }) => (contentType ? undefined : withHeaders(draft, { "content-type": "application/json" })),
    always,
  ),
];

export const VARIANTS: readonly Variant[] = [
  ...HEADERS,
  ...TIMEOUTS,
  ...COMPRESSION,
  ...MESSAGES,
  ...ENVELOPES,
  ...REQUESTS,
];
