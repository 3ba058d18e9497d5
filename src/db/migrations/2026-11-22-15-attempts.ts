import { Migration } from "@mikro-orm/migrations";

export class Attempts extends Migration {
  override up(): void {
    // The columns and their order are those of rate-limiter-flexible. A key is a digest; what it counts belongs to no row of a project.
    this.addSql(`
      create table attempts (
        key varchar(255) primary key,
        points integer not null default 0,
        expire bigint)`);
    this.addSql("create index attempts_expire on attempts (expire)");
  }
}
