import type { ProviderHeaders } from "./provider.ts";

/** The deepest nesting of a body or an answer; the outermost object counts as 1. */
export const MOST_DEPTH = 32;

/** The body of a POST where none is given. */
export const DEFAULT_BODY = '{"token": "{credential}"}';

const CONTENT_TYPE = /^application\/(json|x-www-form-urlencoded)(\s*;\s*charset=("utf-8"|utf-8))?\s*$/i;

/** The value of a header, whatever the case of its name. */
export const headerOf = (headers: ProviderHeaders, name: string): string | undefined =>
  Object.entries(headers).find(([it]) => it.toLowerCase() === name)?.[1];

/** How a body is quoted, by its content type; undefined: it is of another one. */
export function bodyForm(headers: ProviderHeaders): "JSON" | "FORM" | undefined {
  const [, form] = CONTENT_TYPE.exec(headerOf(headers, "content-type") ?? "application/json") ?? [];
  if (!form) return undefined;
  return form.toLowerCase() === "json" ? "JSON" : "FORM";
}

/** Whether a step of a URL's path leads nowhere or back, in a spelling that URL takes for one (WHATWG URL, double-dot path segment). */
export const hasDotSegment = (url: string): boolean =>
  (url.split("?", 1)[0] ?? "").split("/").some((step) => /^(\.|%2e){1,2}$/i.test(step));
