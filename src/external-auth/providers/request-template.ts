import type { EgressRequest } from "../../egress/egress.ts";
import { type HttpConfig, PLACEHOLDER } from "./provider.ts";
import { bodyForm, hasDotSegment, headerOf } from "./request-form.ts";

/** A request that asks whom a credential stands for. */
export interface RenderedRequest {
  readonly url: string;
  readonly options: Pick<EgressRequest, "method" | "headers" | "body">;
}

/** What servers take of a URL; longer ones are answered by whatever stands before them. */
const MOST_URL_BYTES = 8_192;

/** Makes the request for a credential; undefined where there is none that says the credential and nothing else. */
export function renderRequest(config: HttpConfig, credential: string): RenderedRequest | undefined {
  if (!credential.isWellFormed()) return undefined;
  const url = fill(config.url, () => percentEncoded(credential));
  // A credential of dots would lead to another path than the one that was agreed on.
  if (url.length > MOST_URL_BYTES || hasDotSegment(url)) return undefined;
  const { headers, method } = config;
  const inHeaders = Object.values(headers).some((value) => value.includes(PLACEHOLDER));
  if (inHeaders && !/^[!-~](?:[ -~]*[!-~])?$/.test(credential)) return undefined;
  const filled = Object.entries(headers).map(([name, value]) => [name, fill(value, () => credential)]);
  const options = { method, headers: { ...defaultsFor(config), ...Object.fromEntries(filled) } };
  return { url, options: method === "GET" ? options : { ...options, body: renderBody(config, credential) } };
}

const defaultsFor = ({ headers, method }: HttpConfig): Record<string, string> => ({
  ...(headerOf(headers, "accept") === undefined && { accept: "application/json" }),
  ...(method === "POST" && headerOf(headers, "content-type") === undefined && { "content-type": "application/json" }),
});

function renderBody({ headers, body }: HttpConfig, credential: string): string {
  if (bodyForm(headers) === "FORM") return fill(body, () => percentEncoded(credential));
  return fill(body, () => JSON.stringify(credential).slice(1, -1));
}

/** What is put in is not looked through again. */
const fill = (template: string, text: () => string): string => template.replaceAll(PLACEHOLDER, text);

/** All but the unreserved characters of RFC 3986 §2.3. */
const percentEncoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
