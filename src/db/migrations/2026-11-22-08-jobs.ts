import { Migration } from "@mikro-orm/migrations";

export class Jobs extends Migration {
  override up(): void {
    // One row per job of the deployment, whatever its projects. `due_time` is when somebody may run it next: the end of the rest, or of
    // the claim of the process that runs it now (`run_id`), so that a process that is killed hands it on by itself.
    this.addSql(`
      create table jobs (
        name text collate "C" primary key,
        due_time timestamptz not null,
        run_id uuid,
        start_time timestamptz not null,
        last_success_time timestamptz,
        failures integer not null default 0)`);
  }
}
