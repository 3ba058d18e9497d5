import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { Act, ActFacts } from "../db/act.ts";
import { invalid, MusterError } from "../errors.ts";
import { ACT, CALLER, type Caller } from "./caller.ts";
import { CLIENT_ADDRESS } from "./client-address.ts";
import { REQUEST_ID } from "./observe.ts";

export interface NoteActPorts {
  /** Tells those who read a project's history that there may be more of it. Returns at once. */
  announceEvents(projectId: string): void;
}

/** By which a caller says where its changes come from: their events name it, so that what syncs both ways does not go round in circles. */
export const ORIGIN_HEADER = "muster-origin";
const ORIGIN = /^[\x21-\x7e]{1,128}$/;

/** Notes what the call does, for what it changes to say so. After it is known who calls. REQUEST_INVALID, PRINCIPAL_NOT_ALLOWED for an origin. */
export function noteAct({ announceEvents }: NoteActPorts): Interceptor {
  return (next) => (request) => {
    if (request.method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return next(request);
    request.contextValues.set(ACT, actOf(request, announceEvents));
    return next(request);
  };
}

function actOf(request: UnaryRequest | StreamRequest, committed: Act["committed"]): Act {
  return new CallAct(request, originOf(request.header, request.contextValues.get(CALLER)), committed);
}

/** What a call does; told only if it changes something. */
class CallAct implements Act {
  readonly #request: UnaryRequest | StreamRequest;
  readonly #origin: string | undefined;
  readonly committed: Act["committed"];
  #facts: string | undefined;

  constructor(request: UnaryRequest | StreamRequest, origin: string | undefined, committed: Act["committed"]) {
    this.#request = request;
    this.#origin = origin;
    this.committed = committed;
  }

  get facts(): string {
    this.#facts ??= this.#tell();
    return this.#facts;
  }

  #tell(): string {
    const { service, method, contextValues } = this.#request;
    const caller = contextValues.get(CALLER);
    return JSON.stringify({
      method: `${service.name}/${method.name}`,
      actor_kind: caller.kind,
      actor_id: actorIdOf(caller),
      address: contextValues.get(CLIENT_ADDRESS) || undefined,
      request_id: contextValues.get(REQUEST_ID) || undefined,
      origin: this.#origin,
    } satisfies ActFacts);
  }
}

/** A user must not be able to have its changes taken for those of another system, which would then be left out there. */
function originOf(header: Headers, caller: Caller): string | undefined {
  const origin = header.get(ORIGIN_HEADER);
  if (origin === null) return undefined;
  if (caller.kind !== "system" && caller.kind !== "operator")
    throw new MusterError("PRINCIPAL_NOT_ALLOWED", { metadata: { field: ORIGIN_HEADER } });
  if (!ORIGIN.test(origin)) throw invalid(ORIGIN_HEADER, "has to be 1 to 128 visible characters of ASCII");
  return origin;
}

function actorIdOf(caller: Caller): string | undefined {
  if (caller.kind === "system") return caller.accessKeyId;
  return caller.kind === "user" ? caller.userId : undefined;
}
