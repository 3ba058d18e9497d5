import { authorityOf, checkUrl } from "../../egress/check-url.ts";
import type { Egress } from "../../egress/egress.ts";
import { invalid } from "../../errors.ts";
import { isJsonObject, type JsonValue, parseStrictJson } from "../../tokens/strict-json.ts";
import { type HttpConfig, PLACEHOLDER, type ProviderHeaders, WITHHELD } from "./provider.ts";
import { bodyForm, hasDotSegment, MOST_DEPTH } from "./request-form.ts";

const ROOT = "provider.http";
/** They frame the message, concern the connection alone (RFC 9110 §7.6.1), or would have the answer coded. */
const OF_THE_TRANSPORT =
  /^(host|content-length|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|accept-encoding|proxy-.*)$/i;

/** So that a long credential does not make a request many times as long. */
const MOST_PLACES = 4;

/** Refuses what no request can be made from, or no answer read by. REQUEST_INVALID with the field. */
export function checkHttpConfig(config: HttpConfig, egress: Egress): void {
  checkTemplateUrl(config.url, egress);
  checkHeaders(config.headers);
  checkBody(config);
  const templates = [config.url, config.body, ...Object.values(config.headers)];
  const places = templates.reduce((sum, text) => sum + text.split(PLACEHOLDER).length - 1, 0);
  if (places < 1 || places > MOST_PLACES)
    throw invalid(`${ROOT}.url`, `${PLACEHOLDER} must stand in url, headers and body 1 to ${MOST_PLACES} times in all`);
  for (const [name, pointer] of Object.entries(config.response))
    if (/~(?![01])/.test(pointer))
      throw invalid(`${ROOT}.response.${snakeCase(name)}`, "must be a JSON Pointer, in which ~ is written as ~0");
}

function checkTemplateUrl(url: string, egress: Egress): void {
  const field = `${ROOT}.url`;
  if (authorityOf(url).includes("{")) throw invalid(field, `${PLACEHOLDER} may stand in its path and its query only`);
  const example = url.replaceAll(PLACEHOLDER, "credential");
  if (/[{}]/.test(example)) throw invalid(field, `must have no braces but those of ${PLACEHOLDER}`);
  checkUrl(field, example, egress);
  if (hasDotSegment(example)) throw invalid(field, "must have no . and no .. as a step of its path");
}

function checkHeaders(headers: ProviderHeaders): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const field = `${ROOT}.headers["${name}"]`;
    if (OF_THE_TRANSPORT.test(name)) throw invalid(field, "belongs to the transport");
    if (seen.has(name.toLowerCase())) throw invalid(field, "is there twice");
    seen.add(name.toLowerCase());
    if (!/^[\t -~]*$/.test(value)) throw invalid(field, "must be printable ASCII in one line");
    if (value === WITHHELD) throw invalid(field, `${WITHHELD} stands for a value that is there, and there is none`);
  }
}

function checkBody(config: HttpConfig): void {
  const field = `${ROOT}.body`;
  const { method, body } = config;
  if (method === "GET") {
    if (body !== "") throw invalid(field, "must be left out for GET");
    return;
  }
  const form = bodyForm(config.headers);
  if (!form)
    throw invalid(
      `${ROOT}.headers["content-type"]`,
      "must be application/json or application/x-www-form-urlencoded, in UTF-8",
    );
  if (form === "JSON") return checkJsonBody(field, body);
  const rest = body.replaceAll(PLACEHOLDER, "");
  if (!/^[!-~]+$/.test(body) || /[{}]/.test(rest))
    throw invalid(field, `must be a form, its parts percent-encoded, in which ${PLACEHOLDER} may stand`);
}

function checkJsonBody(field: string, body: string): void {
  let template: JsonValue;
  try {
    template = parseStrictJson(Buffer.from(body), MOST_DEPTH);
  } catch (error) {
    if (error instanceof SyntaxError)
      throw invalid(field, `must be a JSON object in which ${PLACEHOLDER} stands inside of strings`);
    throw error;
  }
  if (hasNameWith(template, PLACEHOLDER)) throw invalid(field, `${PLACEHOLDER} must not stand in the name of a member`);
}

function hasNameWith(value: JsonValue, text: string): boolean {
  if (Array.isArray(value)) return value.some((item: JsonValue) => hasNameWith(item, text));
  return (
    isJsonObject(value) && Object.entries(value).some(([name, it]) => name.includes(text) || hasNameWith(it, text))
  );
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
