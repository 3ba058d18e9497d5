import { Migration } from "@mikro-orm/migrations";
import { skeletonOf } from "../../skeleton.ts";

/** Users whose logins are folded at a time. */
const BATCH = 5_000;

interface Named {
  readonly project_id: string;
  readonly id: string;
  readonly login: string;
}

/**
 * What logins that look alike have in common, as the server that runs this makes it: another table of confusables needs a migration that
 * makes all of them anew, so this need not be a copy.
 *
 * Logins that look alike and are there already stay. The user who came first holds the skeleton, so that nobody joins them; the others
 * hold none until they take another login. Nor does one who takes a login from a server of the release before while that still runs.
 */
export class Logins extends Migration {
  override async up(): Promise<void> {
    await this.execute(`alter table users add column login_skeleton text collate "C"`);
    const nil = "00000000-0000-0000-0000-000000000000";
    for (let last = { project_id: nil, id: nil }; ; ) {
      const users = (await this.execute(
        `select project_id, id, login from users where (project_id, id) > (?::uuid, ?::uuid) and login is not null
         order by project_id, id limit ${BATCH}`,
        [last.project_id, last.id],
      )) as unknown as Named[];
      const skeletons = users.map(({ project_id, id, login }) => ({ project_id, id, skeleton: skeletonOf(login) }));
      await this.execute(
        `update users set login_skeleton = named.skeleton
         from jsonb_to_recordset(?::jsonb) as named(project_id uuid, id uuid, skeleton text)
         where users.project_id = named.project_id and users.id = named.id`,
        [JSON.stringify(skeletons)],
      );
      const end = users.at(-1);
      if (!end || users.length < BATCH) break;
      last = end;
    }
    await this.execute(`
      update users set login_skeleton = null
      from (select project_id, id, row_number() over (
          partition by project_id, login_skeleton order by create_time, id) as place
        from users where login_skeleton is not null) as held
      where users.project_id = held.project_id and users.id = held.id and held.place > 1`);
  }
}

/** Apart from the column, which a server of this release alone writes: it takes long where there are many users. */
export class LoginsIndex extends Migration {
  override up(): void {
    this.addSql("create unique index users_login_skeleton on users (project_id, login_skeleton)");
  }
}
