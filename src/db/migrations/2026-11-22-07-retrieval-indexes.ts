import { Migration } from "@mikro-orm/migrations";

export class RetrievalIndexes extends Migration {
  override up(): void {
    this.addSql("create index users_name on users (project_id, name_key, id)");
    this.addSql("create index users_create_time on users (project_id, create_time, id)");
    this.addSql("create index users_update_time on users (project_id, update_time, id)");
    this.addSql("create index users_last_active_time on users (project_id, last_active_time, id)");
    this.addSql("create index users_guest on users (project_id, guest, create_time, id)");
    // Of all projects, as a GIN index takes no uuid without an extension: a tag that others use often is then looked for along the order,
    // so that a list never costs more than a walk over its own project. Without the list of what is pending, which every look-up would
    // read, a look-up costs the same at any time.
    this.addSql("create index users_tags on users using gin (tags) with (fastupdate = off) where tags <> '{}'");
  }
}
