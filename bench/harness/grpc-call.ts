import { type DescMessage, fromBinary, type MessageShape, toBinary, toJson } from "@bufbuild/protobuf";
import type { Call } from "./row.ts";

interface GrpcCall<I extends DescMessage, O extends DescMessage> {
  /** Such as `/muster.v1.UserService/GetUser`. */
  readonly path: string;
  /** Left out: `.anonymous` calls. */
  readonly credential?: string;
  readonly input: I;
  readonly output: O;
  request(n: number): MessageShape<I>;
  /** How many different requests there are; they are then encoded once. Left out: each is new. */
  readonly distinct?: number;
  /** Throws if the answer is not the wanted one; takes out what differs from one call to the next. */
  comparable(answer: MessageShape<O>): MessageShape<O>;
}

/** A unary call over gRPC. */
export function grpcCall<I extends DescMessage, O extends DescMessage>(options: GrpcCall<I, O>): Call {
  const { path, credential, input, output, request, distinct, comparable } = options;
  const encode = (n: number) => toBinary(input, request(n));
  const encoded = Array.from({ length: distinct ?? 0 }, (_, n) => encode(n));
  return {
    protocol: "grpc",
    path,
    headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
    body: (n) => encoded[n % encoded.length] ?? encode(n),
    read: (answer) => toJson(output, comparable(fromBinary(output, answer))),
  };
}
