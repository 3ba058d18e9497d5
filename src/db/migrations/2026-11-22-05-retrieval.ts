import { Migration } from "@mikro-orm/migrations";

/** Users whose names are folded at a time. */
const BATCH = 5_000;

interface Named {
  readonly project_id: string;
  readonly id: string;
  readonly name: string;
}

/** As the server folds names. A copy, as a migration that ran once never changes. */
function nameKey(name: string): string {
  const folded = name.normalize("NFKC").toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFKC");
  return Array.from(folded).slice(0, 255).join("");
}

export class Retrieval extends Migration {
  override async up(): Promise<void> {
    await this.execute(`alter table users add column name_key text collate "C"`);
    // Postgres folds by its own rules, and by those of its locale: the server's are the ones that count.
    const nil = "00000000-0000-0000-0000-000000000000";
    for (let last = { project_id: nil, id: nil }; ; ) {
      const users = (await this.execute(
        `select project_id, id, name from users where (project_id, id) > (?::uuid, ?::uuid) and name is not null
         order by project_id, id limit ${BATCH}`,
        [last.project_id, last.id],
      )) as unknown as Named[];
      const keys = users.map(({ project_id, id, name }) => ({ project_id, id, name_key: nameKey(name) }));
      await this.execute(
        `update users set name_key = named.name_key
         from jsonb_to_recordset(?::jsonb) as named(project_id uuid, id uuid, name_key text)
         where users.project_id = named.project_id and users.id = named.id`,
        [JSON.stringify(keys)],
      );
      const end = users.at(-1);
      if (!end || users.length < BATCH) return;
      last = end;
    }
  }
}
