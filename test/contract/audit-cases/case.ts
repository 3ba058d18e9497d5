import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { TestApp, TestProject } from "../../support/start-app.ts";

/** Where a call is made; each case has a project of its own. */
export interface World {
  readonly app: TestApp;
  readonly project: TestProject;
  /** The mails that an address was sent, once there are so many. */
  mailsTo(address: string, count: number): Promise<string[]>;
}

/** Whom and what an entry has to say was changed. */
export interface Changed {
  readonly userId?: string | null | undefined;
  readonly target?: string | null;
  /** Default: that of the case. */
  readonly projectId?: string | undefined;
}

/** A user with what it calls by. */
export interface CallingUser {
  readonly id: string;
  readonly credential: string;
}

/** A call that changes something. */
export interface AuditCase<Answer = unknown> {
  /** Who calls. Default: `.system`. */
  readonly as?: "operator" | "anonymous" | CallingUser;
  call(client: <S extends DescService>(service: S) => Client<S>): Promise<Answer>;
  /** What of the project is then changed: one entry each. */
  changed(answer: Answer): readonly Changed[] | Promise<readonly Changed[]>;
  /** Whether the same call once more changes nothing, be it refused or not. */
  readonly repeats?: "nothing";
  /** Why more is written by transactions of its own, which have no entry besides. */
  readonly afterwards?: string;
  /** Whether the answer is given before the change is made. */
  readonly isLate?: boolean;
}

/** Prepares what the call changes, and gives the call. */
export type CaseOf = (world: World) => Promise<AuditCase>;

/** Holds what a call answers and what is asked of the answer to one type. */
export const auditCase = <Answer>(it: AuditCase<Answer>): AuditCase => it as AuditCase;

export const refOf = (id: string) => ({ ref: { case: "id", value: id } }) as const;
