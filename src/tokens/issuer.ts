import { UUID } from "../ids.ts";

/** Names the issuer of each project's tokens, and reads the project back. */
export interface Issuers {
  /** The claim `iss`: the public URL and `/projects/<id>`. */
  of(projectId: string): string;
  /** The project of one of this instance's issuers. */
  projectOf(issuer: unknown): string | undefined;
}

/** `publicUrl` is where this instance is reached from outside. */
export function createIssuers(publicUrl: string): Issuers {
  const prefix = `${publicUrl.replace(/\/+$/, "")}/projects/`;
  return {
    of: (projectId) => prefix + projectId,
    projectOf(issuer) {
      if (typeof issuer !== "string" || !issuer.startsWith(prefix)) return undefined;
      const id = issuer.slice(prefix.length);
      return UUID.test(id) ? id : undefined;
    },
  };
}
