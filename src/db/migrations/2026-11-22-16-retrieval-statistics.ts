import { Migration } from "@mikro-orm/migrations";

export class RetrievalStatistics extends Migration {
  override up(): void {
    // Of a tag that it knows nothing of, Postgres holds that one user in two hundred has it, and walks along the order until a page of them is
    // found: over all users, where few have it. By default it knows of those alone that one in thousands has.
    this.addSql("alter table users alter column tags set statistics 1000");
  }
}
