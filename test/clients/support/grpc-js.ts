import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.ts";

/** A client of @grpc/grpc-js, with protobuf-es for its messages, that calls with one credential. */
export function createGrpcJsClient(
  url: string,
  credential?: string,
  security: ChannelCredentials = credentials.createInsecure(),
) {
  const client = new Client(new URL(url).host, security);
  const metadata = new Metadata();
  if (credential !== undefined) metadata.set("authorization", `Bearer ${credential}`);
  return {
    /** Calls a unary RPC; rejects with grpc-js's ServiceError. */
    unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethod & { input: I; output: O; methodKind: "unary" },
      request: MessageInitShape<I>,
      options: { deadline?: number } = {},
    ): Promise<MessageShape<O>> {
      const { path, serialize, deserialize } = codecs(method);
      return new Promise((settle, fail) => {
        const message = create(method.input, request) as Message;
        client.makeUnaryRequest(path, serialize, deserialize, message, metadata, options, (error, answer) => {
          if (error) fail(error);
          else settle(answer as MessageShape<O>);
        });
      });
    },
    /** Opens a stream. */
    stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethod & { input: I; output: O; methodKind: "server_streaming" },
      request: MessageInitShape<I>,
      options: { deadline?: number } = {},
    ): ClientReadableStream<MessageShape<O>> {
      const { path, serialize, deserialize } = codecs(method);
      const message = create(method.input, request) as Message;
      return client.makeServerStreamRequest(
        path,
        serialize,
        deserialize,
        message,
        metadata,
        options,
      ) as ClientReadableStream<MessageShape<O>>;
    },
    close: () => client.close(),
  };
}

function codecs(method: DescMethod & { parent: DescService }) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
    deserialize: (bytes: Buffer): Message => fromBinary(method.output, bytes),
  };
}

/** The reason in a failed call's details. */
export function grpcJsReasonOf(error: ServiceError): string | undefined {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Uint8Array)) return undefined;
  const infos = fromBinary(StatusSchema, bytes).details.map((detail) => anyUnpack(detail, ErrorInfoSchema));
  return infos.find((info) => info !== undefined)?.reason;
}
