import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { type BatchUpsertUsersResult, UpsertOutcome, type UserService } from "../../gen/muster/v1/user_service_pb.ts";
import { type CallFailure, callFailure, isPassing, itemFailure } from "./call-failure.ts";
import type { Refusal, Row } from "./import-row.ts";
import { PassingFailure, type RetryCalls } from "./retry-calls.ts";

/** What came of a row that was not refused. */
export type Outcome = "created" | "changed" | "unchanged";

export interface SendPorts {
  readonly users: Pick<Client<typeof UserService>, "batchUpsertUsers">;
  readonly retry: RetryCalls;
  /** Cuts calls off. */
  readonly signal: AbortSignal;
  /** Whether nothing is written. */
  readonly dryRun: boolean;
}

/** A batch that takes longer than this hangs. */
const TIMEOUT_MS = 60_000;

/**
 * Sends rows as one batch, and gives what came of each, in their order. A batch that is refused as a whole is sent without the rows
 * it was refused for, or where that is not said in halves, one after the other. Throws what no row is to blame for.
 */
export async function sendRows(ports: SendPorts, rows: readonly Row[]): Promise<(Outcome | Refusal)[]> {
  if (rows.length === 0) return [];
  try {
    return await sendUntilSettled(ports, rows);
  } catch (error) {
    const failure = error instanceof ConnectError ? callFailure(error) : undefined;
    if (!failure || !isAboutRows(failure)) throw error;
    return sendApart(ports, rows, failure);
  }
}

/** All rows go again while one of them fails for a moment: of two for one user the later one has to come last. */
async function sendUntilSettled({ users, retry, signal, dryRun }: SendPorts, rows: readonly Row[]) {
  const outcomes = new Map<Row, Outcome | Refusal>();
  const request = { users: rows.map((row) => row.request), validateOnly: dryRun };
  await retry(async () => {
    const { results } = await users.batchUpsertUsers(request, { signal, timeoutMs: TIMEOUT_MS });
    let passing: CallFailure | undefined;
    for (const [i, row] of rows.entries()) {
      const result = results[i];
      if (!result) throw new Error("The server has answered a batch in part");
      const failure = result.error && itemFailure(result.error);
      if (failure && isPassing(failure)) passing = failure;
      else if (!outcomes.has(row)) outcomes.set(row, failure ? refusalOf(row, failure) : outcomeOf(result));
    }
    if (passing) throw new PassingFailure(passing);
  });
  return rows.map((row) => outcomes.get(row) ?? "unchanged");
}

const OUTCOMES = {
  [UpsertOutcome.CREATED]: "created",
  [UpsertOutcome.CHANGED]: "changed",
  [UpsertOutcome.UNCHANGED]: "unchanged",
} as const;

function outcomeOf({ outcome }: BatchUpsertUsersResult): Outcome {
  const known = OUTCOMES[outcome as keyof typeof OUTCOMES];
  if (!known) throw new Error(`The server has answered with an outcome that is not known: ${outcome}`);
  return known;
}

const isAboutRows = ({ code, reason }: CallFailure): boolean =>
  code === Code.InvalidArgument || reason === "MESSAGE_TOO_LARGE" || (!reason && code === Code.ResourceExhausted);

async function sendApart(ports: SendPorts, rows: readonly Row[], failure: CallFailure): Promise<(Outcome | Refusal)[]> {
  const [only] = rows;
  if (rows.length === 1 && only) return [refusalOf(only, failure)];
  const blamed = new Map<Row, CallFailure>();
  for (const violation of failure.violations) {
    const [, index = "", field = ""] = /^users\[(\d+)\]\.?(.*)$/.exec(violation.field) ?? [];
    const row = rows[Number(index || "-1")];
    if (row) blamed.set(row, { ...failure, message: violation.description, violations: [{ ...violation, field }] });
  }
  if (blamed.size === 0) {
    const middle = rows.length >> 1;
    const first = await sendRows(ports, rows.slice(0, middle));
    return [...first, ...(await sendRows(ports, rows.slice(middle)))];
  }
  const others = rows.filter((row) => !blamed.has(row));
  const outcomes = (await sendRows(ports, others)).values();
  return rows.map((row) => {
    const own = blamed.get(row);
    return own ? refusalOf(row, own) : (outcomes.next().value ?? "unchanged");
  });
}

/** The field of a row that a reason without broken rules is about. */
const FIELDS: Readonly<Record<string, string>> = { LOGIN_TAKEN: "user.login", EXTERNAL_ID_TAKEN: "external_id" };

function refusalOf({ line, externalId }: Row, { reason, message, violations, metadata }: CallFailure): Refusal {
  const field = violations[0]?.field ?? metadata["field"] ?? FIELDS[reason ?? ""] ?? locatorField(metadata["type"]);
  return {
    line,
    external_id: externalId,
    reason: reason ?? "REQUEST_INVALID",
    ...(field && { field }),
    message: violations.length > 1 ? violations.map((it) => `${it.field}: ${it.description}`).join("; ") : message,
  };
}

const locatorField = (type: string | undefined): string | undefined => (type ? `user.${type}` : undefined);
