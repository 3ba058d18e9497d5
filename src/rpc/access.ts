import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { Access, access, RateBucket } from "../gen/muster/v1/access_pb.ts";
import type { Caller } from "./caller.ts";

/** The declaration of an RPC, ready to be enforced. */
export interface MethodRule {
  readonly allow: ReadonlySet<Access>;
  readonly bucket: RateBucket;
}

/** Reads the declaration beside the RPC. Throws for one that lacks the access or the bucket. */
export function ruleOf(method: DescMethod): MethodRule {
  const name = `${method.parent.typeName}.${method.name}`;
  const declared = hasOption(method, access) ? getOption(method, access) : undefined;
  if (!declared || declared.allow.length === 0 || declared.allow.includes(Access.UNSPECIFIED))
    throw new Error(`${name} does not declare who may call it: option (muster.v1.access)`);
  if (declared.bucket === RateBucket.UNSPECIFIED)
    throw new Error(`${name} does not declare its rate bucket: option (muster.v1.access)`);
  return { allow: new Set(declared.allow), bucket: declared.bucket };
}

/** The declarations of all RPCs of the services; an RPC without one stops the start. */
export function rulesOf(services: readonly DescService[]): ReadonlyMap<DescMethod, MethodRule> {
  return new Map(services.flatMap((service) => service.methods).map((method) => [method, ruleOf(method)]));
}

/** What a caller is to a declaration, before it is known whom the call is about. */
export const ACCESS_OF = {
  operator: Access.OPERATOR,
  system: Access.SYSTEM,
  user: Access.USER,
  anonymous: Access.ANONYMOUS,
} as const satisfies Record<Caller["kind"], Access>;
