import { Migration } from "@mikro-orm/migrations";

export class PresenceEnds extends Migration {
  override up(): void {
    this.addSql("alter table presences add column ends_at bigint");
  }
}
