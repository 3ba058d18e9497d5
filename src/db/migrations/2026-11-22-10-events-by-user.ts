import { Migration } from "@mikro-orm/migrations";

export class EventsByUser extends Migration {
  override up(): void {
    this.addSql(`
      create index events_of_user on events (project_id, user_id, transaction_id, sequence) where user_id is not null`);
  }
}
