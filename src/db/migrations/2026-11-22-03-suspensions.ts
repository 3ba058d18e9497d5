import { Migration } from "@mikro-orm/migrations";

export class Suspensions extends Migration {
  override up(): void {
    // With the user and not in a table of their own: every call of a user asks whether it is suspended, and hardly any user is.
    this.addSql("alter table users add column suspensions jsonb not null default '[]'");
  }
}
