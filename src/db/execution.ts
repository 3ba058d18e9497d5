import pg from "pg";
import utils from "pg/lib/utils.js";

/** A row as the driver gives it: `bigint` as number (nothing here passes 2⁵³), `timestamptz` as Date, `date` as `YYYY-MM-DD`. */
export const ROW_TYPES = new pg.TypeOverrides();
ROW_TYPES.setTypeParser(pg.types.builtins.INT8, Number);
ROW_TYPES.setTypeParser(pg.types.builtins.DATE, (value: string) => value);

/** What is run: a statement under its name, bound to values. */
export interface BoundStatement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

/** Runs a statement on a connection that the caller holds; one without a name by the driver's own means. */
export function execute<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  { name, text }: { readonly name?: string; readonly text: string },
  values: unknown[],
): Promise<Row[]> {
  if (name === undefined) return client.query<Row>({ text, values, types: ROW_TYPES }).then(({ rows }) => rows);
  const { promise, resolve, reject } = Promise.withResolvers<Row[]>();
  client.query(new Execution<Row>({ name, text, values }, (error, rows) => (error ? reject(error) : resolve(rows))));
  return promise;
}

/** Is told what came of an execution. */
export type Executed<Row> = (error: Error | undefined, rows: Row[]) => void;

/** The columns that a statement gives, and what reads each. */
interface Columns {
  readonly names: readonly string[];
  readonly readers: readonly Reader[];
}

type Reader = (text: string) => unknown;

/** A connection keeps what it knows of the statements that it has prepared. */
const COLUMNS = Symbol("columns of prepared statements");

/** What the driver's types leave out. */
interface PreparingConnection extends pg.Connection {
  /** The texts of the statements that were prepared, by their names, and of those that are being prepared. */
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
  [COLUMNS]?: Map<string, Columns>;
}

/**
 * One execution of a named statement, for `query` of a client. The driver's own asks with each execution which columns the statement gives, and
 * reads the answer: half of what a short one costs on either side. This one asks with the first on each connection, as they are the same for as
 * long as the statement is prepared: Postgres refuses to run one whose columns have changed since.
 */
export class Execution<Row> implements pg.Submittable {
  // The client reads both.
  readonly name: string;
  readonly text: string;
  readonly callback: Executed<Row>;
  readonly values: unknown[];
  readonly #rows: Row[] = [];
  #known: Map<string, Columns> | undefined;
  #columns: Columns | undefined;
  #unreadable: Error | undefined;

  constructor({ name, text, values }: BoundStatement, executed: Executed<Row>) {
    this.name = name;
    this.text = text;
    this.values = values;
    this.callback = executed;
  }

  /** Sends it. What is wrong with the values is given back, and the client tells it. */
  submit(connection: pg.Connection): Error | null {
    const preparing = connection as PreparingConnection;
    const prepared = preparing.parsedStatements[this.name] ?? preparing.submittedNamedStatements[this.name];
    if (prepared !== undefined && prepared !== this.text) return new Error(`${this.name} names two statements`);
    this.#known = preparing[COLUMNS] ??= new Map();
    this.#columns = this.#known.get(this.name);
    let values: (string | Buffer | null)[];
    try {
      values = this.values.map(prepare);
    } catch (error) {
      return error as Error;
    }
    connection.stream.cork();
    try {
      this.#send(preparing, prepared !== undefined, values);
    } finally {
      connection.stream.uncork();
    }
    return null;
  }

  handleRowDescription({ fields }: { readonly fields: readonly pg.FieldDef[] }): void {
    this.#learn({
      names: fields.map(({ name }) => name),
      readers: fields.map(({ dataTypeID }): Reader => ROW_TYPES.getTypeParser(dataTypeID) as unknown as Reader),
    });
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    const { names, readers } = this.#columns ?? NO_COLUMNS;
    const row: Record<string, unknown> = {};
    try {
      for (let at = 0; at < names.length; at++) {
        const text = fields[at] ?? null;
        row[names[at] as string] = text === null ? null : readers[at]?.(text);
      }
    } catch (error) {
      this.#unreadable ??= error as Error;
    }
    this.#rows.push(row as Row);
  }

  handleCommandComplete(): void {
    // One that gives no rows has none to describe.
    if (!this.#columns) this.#learn(NO_COLUMNS);
  }

  handleReadyForQuery(): void {
    this.callback(this.#unreadable, this.#rows);
  }

  handleError(error: Error): void {
    this.callback(error, []);
  }

  handleEmptyQuery(): void {}

  #send(connection: PreparingConnection, isPrepared: boolean, values: (string | Buffer | null)[]): void {
    if (!isPrepared) {
      connection.parse({ name: this.name, text: this.text, types: [] }, false);
      connection.submittedNamedStatements[this.name] = this.text;
    }
    connection.bind({ statement: this.name, values }, false);
    if (!this.#columns) connection.describe({ type: "P" }, false);
    connection.execute(null, false);
    connection.sync();
  }

  #learn(columns: Columns): void {
    this.#columns = columns;
    this.#known?.set(this.name, columns);
  }
}

const NO_COLUMNS: Columns = { names: [], readers: [] };

const prepare = (value: unknown): string | Buffer | null =>
  typeof value === "string" ? value : utils.prepareValue(value);
