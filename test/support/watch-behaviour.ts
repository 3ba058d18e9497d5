import { expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { reasonOf } from "./refusal.ts";
import type { TestApp, TestProject } from "./start-app.ts";
import type { StreamReader } from "./stream-reader.ts";

/** A project, and a reader of its watch that is up to date. */
interface Watched<Message> {
  readonly project: Pick<TestProject, "id" | "accessKey" | "signedInUser">;
  readonly reader: StreamReader<Message>;
  /** Makes happen what the watch tells of. */
  write(): Promise<unknown>;
}

export interface WatchSubject<Message> {
  readonly app: TestApp;
  readonly heartbeatMs: number;
  open(): Promise<Watched<Message>>;
  /** The kind of what it tells of. */
  readonly itemKind: string;
  /** What a message says. */
  contentOf(message: Message): unknown;
  /** The watch of a project by another caller. */
  watch(credential: string): AsyncIterable<Message>;
}

/** What every watch of a project does, whatever it tells of. */
export function testWatch<Message>({
  app,
  heartbeatMs,
  open,
  itemKind,
  contentOf,
  watch,
}: WatchSubject<Message>): void {
  test(`${heartbeatMs / 1_000} s of silence are told, and not a moment less`, async () => {
    const { reader, write } = await open();
    await app.clock.advance(heartbeatMs - 1);
    expect(reader.kinds).toEqual(["snapshotComplete"]);
    await app.clock.advance(1);
    await reader.until("heartbeat");
    expect(contentOf(reader.messages.at(-1) as Message)).toMatchObject({ stale: false });
    await write();
    await reader.until(itemKind);
    await app.clock.advance(heartbeatMs);
    await reader.until("heartbeat", 2);
    reader.leave();
  });

  test("the streams of an access key end when it is revoked, without a goodbye", async () => {
    const { project, reader } = await open();
    await app
      .operator(ProjectService)
      .revokeAccessKey({ projectId: project.id, keyId: project.accessKey.slice(4, 40) });
    expect(await reader.ended).toBe("CREDENTIAL_INVALID");
    expect(reader.kinds).not.toContain("goodbye");
  });

  test("users do not watch", async () => {
    const { project, reader } = await open();
    const { token } = await project.signedInUser("carol");
    expect(await reasonOf(watch(token)[Symbol.asyncIterator]().next())).toBe("PRINCIPAL_NOT_ALLOWED");
    reader.leave();
  });
}
