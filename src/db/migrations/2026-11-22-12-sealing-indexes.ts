import { Migration } from "@mikro-orm/migrations";

export class SealingIndexes extends Migration {
  override up(): void {
    // The first 5 bytes of what is sealed name the key it is sealed under.
    this.addSql(
      "create index signing_keys_sealing on signing_keys (substring(sealed_private_key from 1 for 5), project_id, id)",
    );
    this.addSql(
      "create index locator_codes_sealing on locator_codes (substring(sealed_digest from 1 for 5), project_id, type, key)",
    );
    this.addSql("create index sessions_sealing on sessions (substring(sealed_seed from 1 for 5), project_id, id)");
  }
}
