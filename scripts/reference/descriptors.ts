import { execFileSync } from "node:child_process";
import type { DescEnum, DescFile, DescMessage, DescService, Registry } from "@bufbuild/protobuf";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The contract as it stands in proto/, comments included (the generated code has none). */
export interface Contract {
  readonly services: readonly DescService[];
  readonly messages: readonly DescMessage[];
  readonly enums: readonly DescEnum[];
  readonly registry: Registry;
}

const PACKAGE = "muster.v1";

/** Has buf compile proto/ and gives what is Muster's own, in the order of the files and within them. */
export function readContract(): Contract {
  const image = execFileSync("buf", ["build", "-o", "-"], { maxBuffer: 64e6 });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  const files = [...registry.files].filter((file) => file.proto.package === PACKAGE);
  files.sort((one, other) => (one.name < other.name ? -1 : 1));
  return {
    services: files.flatMap((file) => file.services),
    messages: files.flatMap((file) => file.messages.flatMap(withNested)),
    enums: files.flatMap((file) => file.enums),
    registry,
  };
}

function withNested(message: DescMessage): DescMessage[] {
  return message.proto.options?.mapEntry ? [] : [message, ...message.nestedMessages.flatMap(withNested)];
}

/** The comments of a file's elements, by the path that descriptor.proto describes at SourceCodeInfo. */
const comments = new WeakMap<DescFile, Map<string, string>>();

/** The comment that leads the element at `path`, as one paragraph. */
export function commentAt(file: DescFile, path: readonly number[]): string {
  let known = comments.get(file);
  if (!known) {
    const locations = file.proto.sourceCodeInfo?.location ?? [];
    known = new Map(locations.map((it) => [it.path.join("."), it.leadingComments]));
    comments.set(file, known);
  }
  const text = known.get(path.join(".")) ?? "";
  return text
    .split("\n")
    .map((line) => line.trim())
    .join(" ")
    .trim();
}

/** The field numbers of descriptor.proto that lead to each kind of element. */
export const PATHS = { message: 4, field: 2, nested: 3, enum: 5, value: 2, service: 6, method: 2 } as const;

/** Where a message stands in its file. */
export function pathOfMessage(message: DescMessage): number[] {
  const { parent, file } = message;
  if (!parent) return [PATHS.message, file.messages.indexOf(message)];
  return [...pathOfMessage(parent), PATHS.nested, parent.nestedMessages.indexOf(message)];
}
