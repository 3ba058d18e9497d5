import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type UserRef, UserRefSchema } from "../gen/muster/v1/user_pb.ts";

/** Gives the refs that a request names users by. */
export type RefsOf = (request: Message) => UserRef[];

/** Finds, once per request type, the fields that hold a `UserRef`, and gives the reader for them. */
export function refsIn(request: DescMessage): RefsOf {
  const fields = request.fields.filter((field) => field.message?.typeName === UserRefSchema.typeName);
  if (fields.length === 0) return () => [];
  return (message) =>
    fields.flatMap((field) => {
      const value = (message as unknown as Record<string, UserRef | UserRef[] | undefined>)[field.localName];
      return value === undefined ? [] : value;
    });
}
