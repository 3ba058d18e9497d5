import { clearField, getOption, toJson } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { field_access } from "../../gen/muster/v1/access_pb.ts";
import { type User, UserSchema } from "../../gen/muster/v1/user_pb.ts";
import { type ListUsersResponse, Operator, type UserService } from "../../gen/muster/v1/user_service_pb.ts";
import { callFailure } from "./call-failure.ts";
import type { RetryCalls } from "./retry-calls.ts";
import type { TextOutput } from "./text-output.ts";

export interface ExportPorts {
  readonly users: Pick<Client<typeof UserService>, "listUsers">;
  readonly retry: RetryCalls;
  /** Cuts calls off. */
  readonly signal: AbortSignal;
  readonly output: TextOutput;
  /** Told of each page. */
  onProgress(users: number): void;
}

export interface ExportOptions {
  /** The external id to go on behind; undefined: from the first. */
  readonly after: string | undefined;
  /** Also the fields that the server sets, which an import passes over. */
  readonly allFields: boolean;
}

const LARGEST_PAGE = 1_000;
const TIMEOUT_MS = 60_000;

/** What a request may set of a user; the external id stands beside it. */
const SERVER_SET = UserSchema.fields.filter((field) => getOption(field, field_access).write.length === 0);
const EXTERNAL_ID = UserSchema.fields.filter((field) => field.name === "external_id");

/**
 * Writes all users in the order of their external ids, a line each, which an import takes as it is. The next page is read while one is
 * written. Gives how many there were.
 */
export async function exportUsers(ports: ExportPorts, { after, allFields }: ExportOptions): Promise<number> {
  const hidden = allFields ? EXTERNAL_ID : SERVER_SET;
  let count = 0;
  let written: Promise<void> = Promise.resolve();
  // A write that fails while a page is awaited is told below.
  for await (const { users } of pagesOf(ports, after)) {
    await written;
    count += users.length;
    written = ports.output.write(users.map((user) => lineOf(user, hidden)).join(""));
    written.catch(() => {});
    ports.onProgress(count);
  }
  await written;
  return count;
}

function lineOf(user: User, hidden: typeof SERVER_SET): string {
  const { externalId } = user;
  for (const field of hidden) clearField(user, field);
  return `${JSON.stringify({ external_id: externalId, user: toJson(UserSchema, user, { useProtoFieldName: true }) })}\n`;
}

/** Pages by external id: it never changes, so that everybody who stays is given once. */
async function* pagesOf(ports: ExportPorts, after: string | undefined): AsyncGenerator<ListUsersResponse> {
  const filters = after === undefined ? [] : [{ field: "external_id", operator: Operator.GREATER, values: [after] }];
  let pageSize = LARGEST_PAGE;
  for (let pageToken = "", more = true; more; ) {
    const request = { filters, orderBy: "external_id", pageSize, pageToken };
    const page = await ports
      .retry(() => ports.users.listUsers(request, { signal: ports.signal, timeoutMs: TIMEOUT_MS }))
      .catch((error: unknown) => {
        if (pageSize > 1 && isTooLong(error)) return undefined;
        throw error;
      });
    pageSize = page ? Math.min(LARGEST_PAGE, pageSize * 2) : pageSize >> 1;
    if (!page) continue;
    yield page;
    pageToken = page.nextPageToken;
    more = pageToken !== "";
  }
}

/** Users with much metadata do not fit into one answer. */
function isTooLong(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const { code, reason } = callFailure(error);
  return code === Code.ResourceExhausted && reason !== "RATE_LIMITED";
}
