import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation as ProtoViolation } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { MusterError, type Violation } from "../errors.ts";
import { inspectRequest } from "./inspect-request.ts";
import { createListLengths } from "./list-lengths.ts";

/** Beyond these, more would tell nobody anything, and they travel in a header. */
const MAX_VIOLATIONS = 20;

/** Gives the rules that a message breaks, at most 20 of them; none: it is valid. */
export type Check = (schema: DescMessage, message: Message) => readonly Violation[];

/** Compiles the rules declared in the proto. The first look at a type compiles it, which takes some milliseconds. */
export function createCheck(): Check {
  const validator = createValidator();
  const tooLong = createListLengths();
  return (schema, message) => {
    const long = tooLong(schema, message);
    if (long.length > 0) return long;
    const result = validator.validate(schema, message);
    if (result.kind === "valid") return [];
    // The rules themselves are wrong: a fault of the server, not of the caller.
    if (result.kind === "error") throw result.error;
    return result.violations.slice(0, MAX_VIOLATIONS).map(violationOf);
  };
}

const violationOf = (violation: ProtoViolation): Violation => ({
  field: pathToString(violation.field),
  description: violation.message,
});

/** Refuses a request that breaks a declared rule. */
export function validate(check: Check): Interceptor {
  return (next) => (request) => {
    // The only RPCs that take many messages are the reflection protocol's own.
    if (request.method.methodKind === "bidi_streaming") return next(request);
    const schema = request.method.input;
    return inspectRequest(next, request, (message) => {
      const violations = check(schema, message);
      if (violations.length > 0) throw new MusterError("REQUEST_INVALID", { violations });
    });
  };
}

/** Compiles the rules of these types now, so that no caller waits for it. */
export function warmUp(check: Check, schemas: Iterable<DescMessage>): void {
  for (const schema of schemas) check(schema, create(schema));
}
