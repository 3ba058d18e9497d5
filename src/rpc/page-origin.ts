/** Whose pages may call. */
export interface PageOrigins {
  /** Where clients reach this instance, such as behind a proxy. */
  readonly publicUrl: string;
  /** The origins whose pages may call with a project's credentials. */
  originsOf(projectId: string): Promise<readonly string[]>;
}

/** What a call says of the page it comes from. */
export type CallOrigin =
  | { readonly kind: "none" }
  | { readonly kind: "own" }
  | { readonly kind: "other"; readonly origin: string };

/** Tells the server's own pages from those of others. A call that is not a page's, or a GET of its own origin, names none. */
export function originOf({ publicUrl }: PageOrigins, header: Headers, url: string): CallOrigin {
  const origin = header.get("origin");
  if (!origin) return { kind: "none" };
  const isOwn = origin === new URL(url).origin || origin === new URL(publicUrl).origin;
  return isOwn ? { kind: "own" } : { kind: "other", origin };
}
