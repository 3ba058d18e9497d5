import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import {
  MethodOptions_IdempotencyLevel as Idempotency,
  FeatureSet_FieldPresence as Presence,
} from "@bufbuild/protobuf/wkt";
import { Access, access, field_access, RateBucket } from "../../src/gen/muster/v1/access_pb.ts";
import { type Contract, commentAt, PATHS, pathOfMessage } from "./descriptors.ts";
import { anchor, cell, GENERATED, table } from "./markdown.ts";
import { boundsOf, sentencesOf } from "./rules.ts";
import { typeOf } from "./types.ts";

/** Who a caller is, by its name in a declaration. */
const CALLERS: Readonly<Record<number, string>> = {
  [Access.OPERATOR]: "the operator",
  [Access.SYSTEM]: "`.system`",
  [Access.USER]: "any user",
  [Access.SELF]: "the user itself",
  [Access.ANONYMOUS]: "`.anonymous`",
};

/** The reference of every RPC, message and enum of the contract. */
export function apiPage(contract: Contract): string {
  const ofOneRpc = new Set(
    contract.services.flatMap((service) => service.methods.flatMap((it) => [it.input, it.output])),
  );
  const shared = contract.messages.filter((message) => !ofOneRpc.has(message));
  const listing = contract.services.map(
    (service) =>
      `- [${service.name}](#${anchor(service.name)}): ${service.methods.map((it) => `[${it.name}](#${anchor(it.name)})`).join(", ")}`,
  );
  return [
    "# API reference",
    GENERATED,
    "Package `muster.v1`. Every RPC answers the Connect, gRPC and gRPC-Web protocols on one port; as JSON over HTTP/1.1 it is `POST /muster.v1.<Service>/<RPC>`. " +
      'What can go wrong is in [errors.md](errors.md). Times are RFC 3339 in JSON, spans are seconds with an `s`, such as `"30s"`.',
    listing.join("\n"),
    ...contract.services.flatMap(serviceSection),
    "## Messages",
    ...shared.flatMap((message) => [`### ${message.name}`, ...messageSection(message)]),
    "## Enums",
    ...contract.enums.flatMap(enumSection),
  ].join("\n\n");
}

function serviceSection(service: DescService): string[] {
  const path = [PATHS.service, service.file.services.indexOf(service)];
  return [
    `## ${service.name}`,
    commentAt(service.file, path),
    ...service.methods.flatMap((method, index) => methodSection(method, [...path, PATHS.method, index])),
  ];
}

function methodSection(method: DescMethod, path: number[]): string[] {
  const { allow, bucket } = getOption(method, access);
  const bucketName = Object.entries(RateBucket)
    .find(([, value]) => value === bucket)?.[0]
    .toLowerCase();
  const facts = [
    `Open to ${allow.map((it) => CALLERS[it]).join(", ")}.`,
    `Charged to the rate bucket \`${bucketName}\`.`,
    ...(method.idempotency === Idempotency.NO_SIDE_EFFECTS && method.methodKind === "unary"
      ? ["Has no side effects: `GET` works too."]
      : []),
    ...(method.idempotency === Idempotency.IDEMPOTENT ? ["Safe to repeat."] : []),
    ...(method.methodKind === "server_streaming" ? ["Answers with a stream."] : []),
  ];
  return [
    `### ${method.name}`,
    commentAt(method.parent.file, path),
    facts.join(" "),
    `**Request** \`${method.input.name}\``,
    ...messageSection(method.input, false),
    `**Answer** \`${method.output.name}\`${method.methodKind === "server_streaming" ? ", each message of the stream" : ""}`,
    ...messageSection(method.output, false),
  ];
}

function messageSection(message: DescMessage, introduced = true): string[] {
  const path = pathOfMessage(message);
  const rows = message.fields.map((it, index) => fieldRow(it, commentAt(message.file, [...path, PATHS.field, index])));
  return [
    ...(introduced ? [commentAt(message.file, path)] : []),
    ...sentencesOf(message).map((sentence) => `Rule: ${sentence}.`),
    rows.length > 0 ? table(["Field", "Type", "Bounds", "Seen by", "Set by", "Meaning"], rows) : "Nothing.",
  ];
}

function fieldRow(of: DescField, comment: string): string[] {
  const declared = hasOption(of, field_access) ? getOption(of, field_access) : undefined;
  const oneof = of.oneof ? `one of \`${of.oneof.name}\`; ` : "";
  const optional = of.presence === Presence.EXPLICIT && of.fieldKind === "scalar" && !of.oneof ? "optional " : "";
  return [
    `\`${of.name}\``,
    oneof + optional + typeOf(of),
    boundsOf(of).map(cell).join("; "),
    declared ? declared.read.map((it) => CALLERS[it]).join(", ") : "",
    declared ? declared.write.map((it) => CALLERS[it]).join(", ") || "the server" : "",
    cell(comment),
  ];
}

function enumSection(of: DescEnum): string[] {
  const path = [PATHS.enum, of.file.enums.indexOf(of)];
  const rows = of.values.map((value, index) => [
    `\`${value.name}\``,
    String(value.number),
    cell(commentAt(of.file, [...path, PATHS.value, index])),
  ]);
  return [`### ${of.name}`, commentAt(of.file, path), table(["Value", "Number", "Meaning"], rows)];
}
