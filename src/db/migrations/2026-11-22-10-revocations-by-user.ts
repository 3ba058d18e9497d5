import { Migration } from "@mikro-orm/migrations";

export class RevocationsByUser extends Migration {
  override up(): void {
    this.addSql(`
      create index revocations_of_user on revocations (project_id, user_id, transaction_id, sequence) where user_id is not null`);
  }
}
