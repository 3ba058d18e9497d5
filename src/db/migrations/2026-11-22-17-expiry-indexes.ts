import { Migration } from "@mikro-orm/migrations";

export class ExpiryIndexes extends Migration {
  override up(): void {
    this.addSql("create index tokens_expire_time on tokens (expire_time)");
    this.addSql("create index locator_codes_expire_time on locator_codes (expire_time)");
  }
}
