import type { Interceptor } from "@connectrpc/connect";
import { type AuthenticatePorts, authenticate } from "./authenticate.ts";
import { type AuthorizePorts, authorize } from "./authorize.ts";
import { type FieldAccessPorts, limitFieldAccess } from "./field-access.ts";
import { type LimitOptions, limitRate } from "./limit-rate.ts";
import { mapErrors } from "./map-errors.ts";
import { type NoteActPorts, noteAct } from "./note-act.ts";
import { type ObservePorts, observe } from "./observe.ts";
import { refuseUndecoded } from "./refuse-undecoded.ts";
import { type Check, validate } from "./validate.ts";

export interface ChainPorts
  extends ObservePorts,
    AuthenticatePorts,
    AuthorizePorts,
    LimitOptions,
    FieldAccessPorts,
    NoteActPorts {
  /** The rules declared in the proto. */
  readonly check: Check;
}

/** THE list: what every RPC passes, outermost first. Services never bring interceptors of their own; they would replace it. */
export function interceptors(ports: ChainPorts): Interceptor[] {
  return [
    observe(ports),
    mapErrors(ports.logger),
    refuseUndecoded,
    authenticate(ports),
    authorize(ports),
    limitRate(ports),
    noteAct(ports),
    validate(ports.check),
    limitFieldAccess(ports),
  ];
}
