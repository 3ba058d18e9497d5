import { ERRORS, type Reason } from "../../src/errors.ts";
import { type Contract, commentAt, PATHS } from "./descriptors.ts";
import { cell, GENERATED, table } from "./markdown.ts";

/** The reference of every reason a call can fail for. */
export function errorsPage({ enums }: Contract): string {
  const reasons = enums.find((it) => it.name === "ErrorReason");
  if (!reasons) throw new Error("the contract has no ErrorReason");
  const path = [PATHS.enum, reasons.file.enums.indexOf(reasons), PATHS.value];
  const rows = reasons.values.flatMap(({ localName }, index) => {
    if (!(localName in ERRORS)) return [];
    const { code, message } = ERRORS[localName as Reason];
    // The comment begins with the code, which has a column of its own.
    const meaning = commentAt(reasons.file, [...path, index]).replace(/^[A-Z_]+\. /, "");
    return [[`\`${localName}\``, `\`${code}\``, cell(message), cell(meaning)]];
  });
  return [
    "# Errors",
    GENERATED,
    "A failed call carries a status code, a message for people, and `google.rpc.ErrorInfo` with the `reason` below, the domain `muster.v1` and metadata. " +
      "Programs act on the reason: it never changes its meaning or its code, the message may. `REQUEST_INVALID` also carries `google.rpc.BadRequest` with each field; " +
      "what may be tried again later carries `google.rpc.RetryInfo`. In proto and generated code the reasons are the enum `ErrorReason`, with the prefix `ERROR_REASON_`.",
    table(["Reason", "Code", "Message", "Meaning"], rows),
  ].join("\n\n");
}
