import type { ValueSection } from "../export/export-section.ts";

interface Row {
  readonly imported: boolean;
  readonly update_time: Date | string;
}

/** That the user has a password, and since when. */
export const PASSWORD_EXPORT: ValueSection = {
  kind: "value",
  name: "password",
  tables: {
    passwords: {
      exported: ["imported", "update_time"],
      withheld: {
        phc: "a secret is checked by it",
        id: "another one for each password, for servers to tell that it changed",
      },
    },
  },
  async read(em, { projectId }, userId) {
    const sql = "select imported, update_time from passwords where project_id = ? and user_id = ?";
    const [row] = await em.execute<Row[]>(sql, [projectId, userId]);
    return row ? { imported: row.imported, update_time: new Date(row.update_time).toISOString() } : null;
  },
};
