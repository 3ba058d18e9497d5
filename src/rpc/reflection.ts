import { createRegistry, type DescFile, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;
type Question = ServerReflectionRequest["messageRequest"];

/** Both versions of server reflection, which differ by their package name only. */
export interface ReflectionServices {
  readonly v1: ServiceImpl<typeof ServerReflection>;
  readonly v1alpha: ServiceImpl<typeof ServerReflectionAlpha>;
}

/** gRPC's code NOT_FOUND, in the answer to one question. */
const NOT_FOUND = 5;
/** gRPC's code UNIMPLEMENTED. */
const UNIMPLEMENTED = 12;

/** Tells clients the schema of the services (grpc/doc/server-reflection.md), so that tools need no proto files. */
export function reflectionServices(services: readonly DescService[]): ReflectionServices {
  const listed = [...services, ServerReflection, ServerReflectionAlpha];
  const answer = createAnswers(listed);
  async function* reflect(requests: AsyncIterable<ServerReflectionRequest>) {
    for await (const request of requests)
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request.messageRequest) };
  }
  // The messages of the two versions are alike but for their package.
  return { v1: { serverReflectionInfo: reflect }, v1alpha: { serverReflectionInfo: reflect as never } };
}

function createAnswers(services: readonly DescService[]): (question: Question) => Answer {
  const files = filesOf(services);
  const registry = createRegistry(...files.values());
  const encoded = new Map<DescFile, Uint8Array[]>();
  const withImports = (file: DescFile | undefined, asked: string): Answer => {
    if (!file) return failure(NOT_FOUND, `not found: ${asked}`);
    let bytes = encoded.get(file);
    if (!bytes)
      encoded.set(file, (bytes = closure(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto))));
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: bytes } };
  };
  return (question) => {
    switch (question.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return withImports(files.get(question.value), question.value);
      case "fileContainingSymbol":
        return withImports(fileOfSymbol(registry, question.value), question.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const message = registry.getMessage(containingType);
        const extension = message && registry.getExtensionFor(message, extensionNumber);
        return withImports(extension?.file, `${containingType} ${extensionNumber}`);
      }
      case "allExtensionNumbersOfType":
        return extensionNumbers(registry, question.value);
      default:
        return failure(UNIMPLEMENTED, "no such question");
    }
  };
}

const failure = (errorCode: number, errorMessage: string): Answer => ({
  case: "errorResponse",
  value: { errorCode, errorMessage },
});

function extensionNumbers(registry: ReturnType<typeof createRegistry>, typeName: string): Answer {
  if (!registry.getMessage(typeName)) return failure(NOT_FOUND, `not found: ${typeName}`);
  const numbers = [...registry].flatMap((desc) =>
    desc.kind === "extension" && desc.extendee.typeName === typeName ? [desc.number] : [],
  );
  return { case: "allExtensionNumbersResponse", value: { baseTypeName: typeName, extensionNumber: numbers } };
}

/** The file that declares a type, or the type that a method, field or enum value belongs to. */
function fileOfSymbol(registry: ReturnType<typeof createRegistry>, symbol: string): DescFile | undefined {
  const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf(".")));
  return (registry.get(symbol) ?? registry.get(parent))?.file;
}

/** A file and all it imports, each once, the file itself first. */
function closure(file: DescFile): DescFile[] {
  const found = new Set([file]);
  for (const each of found) for (const dependency of each.dependencies) found.add(dependency);
  return [...found];
}

function filesOf(services: readonly DescService[]): ReadonlyMap<string, DescFile> {
  return new Map(services.flatMap(({ file }) => closure(file)).map((file) => [`${file.name}.proto`, file]));
}
