import { Migration } from "@mikro-orm/migrations";

export class SigningKeyIndexes extends Migration {
  override up(): void {
    // Counts the live tokens of a key.
    this.addSql("create index tokens_key on tokens (project_id, key_id, expire_time) where revoke_time is null");
  }
}
