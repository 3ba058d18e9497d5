import { Migration } from "@mikro-orm/migrations";

export class SigningKeys extends Migration {
  override up(): void {
    // What a key does follows from its times. Of keys there are already nobody knows how long their tokens live: as long as one may.
    this.addSql(`
      alter table signing_keys
        add column activate_time timestamptz,
        add column retire_time timestamptz,
        add column last_expire_time timestamptz`);
    this.addSql(`
      update signing_keys k set activate_time = k.create_time, retire_time = n.retire_time,
        last_expire_time = coalesce(n.retire_time, now()) + coalesce((p.settings ->> 'tokenTtlMaxMs')::float8, 31536000000) * interval '1 ms'
      from projects p, (
        select project_id, id, lead(create_time) over (partition by project_id order by create_time, id) as retire_time from signing_keys
      ) n
      where p.id = k.project_id and n.project_id = k.project_id and n.id = k.id`);
    this.addSql(`
      alter table signing_keys
        alter column activate_time set not null,
        alter column last_expire_time set not null,
        drop column state`);
    this.addSql("alter table tokens add column key_id uuid");
    this.addSql(`
      update tokens t set key_id = (
        select k.id from signing_keys k where k.project_id = t.project_id
        order by k.create_time > t.issue_time + interval '1 second', abs(extract(epoch from t.issue_time - k.create_time)) limit 1)`);
  }
}
