/** What is being done: by which method, by whom, from where. Each change of the database says it, in what it appends to history. */
export interface Act {
  /**
   * The facts, as a JSON object: `method`, `actor_kind`, `actor_id`, `address`, `request_id`, `origin`; what is not known is left out.
   * Statements take it as `$act`.
   */
  readonly facts: string;
  /** Is told that a change of the project's has been committed, so that those who read its history may look. Returns at once. */
  committed(projectId: string): void;
}

/** The facts of an act. */
export interface ActFacts {
  /** The RPC, as `UserService/UpsertUser`, or the job, as `job/guests`. */
  readonly method: string;
  readonly actor_kind: "operator" | "system" | "user" | "anonymous" | "server";
  /** The id of the access key, or of the user. */
  readonly actor_id?: string | undefined;
  /** The client's IP address. */
  readonly address?: string | undefined;
  readonly request_id?: string | undefined;
  /** What the caller said of where the change comes from. */
  readonly origin?: string | undefined;
}

/** An act of which all is known beforehand. */
export const actOf = (facts: ActFacts, committed: Act["committed"]): Act => ({
  facts: JSON.stringify(facts),
  committed,
});

/** What the server does by itself; `method` as `job/guests`. */
export const serverAct = (method: string, committed: Act["committed"]): Act =>
  actOf({ method, actor_kind: "server" }, committed);
