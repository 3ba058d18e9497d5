import type { DescMethod } from "@bufbuild/protobuf";
import { type AuthenticatePorts, type Claim, identify } from "./authenticate.ts";
import { type AuthorizePorts, admit } from "./authorize.ts";
import { CALLER } from "./caller.ts";

/** Decides, before the message is read, who calls, and whether that caller may call this at all; at once if it can. Throws the refusal. */
export type Gate = (method: DescMethod, claim: Claim) => void | Promise<void>;

/** The first part of the chain, done early: of a call that is refused, no more than the header is looked at. */
export function createGate(ports: AuthenticatePorts & Pick<AuthorizePorts, "rules" | "openServices">): Gate {
  return (method, claim) => {
    const decide = () => void admit(ports, method, claim.contextValues.get(CALLER));
    const identifying = identify(ports, method, claim);
    return identifying ? identifying.then(decide) : decide();
  };
}
