import type { IncomingHttpHeaders } from "node:http";
import type { NodeHeaders } from "./node-headers.ts";

/** Names and values by turns, names in lower case, as Node's HTTP takes them too; a name may come more than once. */
export type HeaderList = string[];

/**
 * Headers as the Fetch Standard has them, which makes those only once something is asked for that is not to be had for less: of most calls two or
 * three headers are read and one is set.
 */
abstract class LightHeaders implements Headers {
  #standard: Headers | undefined;

  /** All that is in it, as the standard has it. */
  protected abstract materialise(): Headers;

  /** What takes this one's place; undefined until it has been made. */
  protected get made(): Headers | undefined {
    return this.#standard;
  }

  protected get standard(): Headers {
    this.#standard ??= this.materialise();
    return this.#standard;
  }

  get(name: string): string | null {
    return this.standard.get(name);
  }

  has(name: string): boolean {
    return this.standard.has(name);
  }

  set(name: string, value: string): void {
    this.standard.set(name, value);
  }

  append(name: string, value: string): void {
    this.standard.append(name, value);
  }

  delete(name: string): void {
    this.standard.delete(name);
  }

  getSetCookie(): string[] {
    return this.standard.getSetCookie();
  }

  forEach(each: (value: string, name: string, headers: Headers) => void, receiver?: unknown): void {
    this.standard.forEach((value, name) => each.call(receiver, value, name, this));
  }

  entries(): ReturnType<Headers["entries"]> {
    return this.standard.entries();
  }

  keys(): ReturnType<Headers["keys"]> {
    return this.standard.keys();
  }

  values(): ReturnType<Headers["values"]> {
    return this.standard.values();
  }

  [Symbol.iterator](): ReturnType<Headers["entries"]> {
    return this.standard.entries();
  }

  get [Symbol.toStringTag](): string {
    return "Headers";
  }
}

/** Names that need nothing done to them; others are for the standard to bring into its form, or to refuse. */
const PLAIN_NAME = /^[a-z0-9-]+$/;
/** Values likewise: without blanks around them, and of ASCII that is seen. */
const PLAIN_VALUE = /^[!-~](?:[ -~]*[!-~])?$/;

/** The headers of a request, as Node has read them. */
export class RequestHeaders extends LightHeaders {
  readonly #read: IncomingHttpHeaders;

  constructor(read: IncomingHttpHeaders) {
    super();
    this.#read = read;
  }

  override get(name: string): string | null {
    if (this.made || !PLAIN_NAME.test(name)) return super.get(name);
    // Node's object may have a prototype.
    if (!Object.hasOwn(this.#read, name)) return null;
    const value = this.#read[name];
    return typeof value === "string" && PLAIN_VALUE.test(value) ? value : super.get(name);
  }

  override has(name: string): boolean {
    if (this.made || !PLAIN_NAME.test(name)) return super.has(name);
    return Object.hasOwn(this.#read, name) && this.#read[name] !== undefined;
  }

  protected override materialise(): Headers {
    const headers = new Headers();
    for (const name in this.#read) {
      const value = this.#read[name];
      // Those of HTTP/2's own, such as `:path`.
      if (name.startsWith(":") || value === undefined) continue;
      if (typeof value === "string") headers.append(name, value);
      else for (const each of value) headers.append(name, each);
    }
    return headers;
  }
}

/** The headers, or the trailers, of an answer. */
export class AnswerHeaders extends LightHeaders {
  /** Each name once. */
  readonly #list: HeaderList;

  /** @param list Names and values by turns, each name once, in the standard's form already. */
  constructor(list: HeaderList) {
    super();
    this.#list = list;
  }

  override get(name: string): string | null {
    if (this.made || !PLAIN_NAME.test(name)) return super.get(name);
    return this.#list[this.#indexOf(name) + 1] ?? null;
  }

  override set(name: string, value: string): void {
    if (this.made || !isPlain(name, value)) return super.set(name, value);
    const index = this.#indexOf(name);
    if (index === NOWHERE) this.#list.push(name, value);
    else this.#list[index + 1] = value;
  }

  override append(name: string, value: string): void {
    if (!this.made && this.#indexOf(name) === NOWHERE) this.set(name, value);
    else super.append(name, value);
  }

  protected override materialise(): Headers {
    const headers = new Headers();
    for (let at = 0; at < this.#list.length; at += 2)
      headers.append(this.#list[at] as string, this.#list[at + 1] as string);
    return headers;
  }

  /** What is in it, for as long as the standard had no part in it: values of plain ASCII, and each name once. */
  get plainList(): HeaderList | undefined {
    return this.made ? undefined : this.#list;
  }

  #indexOf(name: string): number {
    const list = this.#list;
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return at;
    return NOWHERE;
  }
}

/** The value after it is none. */
const NOWHERE = -2;

const isPlain = (name: string, value: string): boolean =>
  typeof value === "string" && PLAIN_NAME.test(name) && PLAIN_VALUE.test(value);

/** What is in headers of an answer, whoever's they are; cookies, which cannot be joined (RFC 6265 §3), each by itself. */
export function headerList(headers: Headers): HeaderList {
  if (headers instanceof AnswerHeaders && headers.plainList) return headers.plainList;
  const list: HeaderList = [];
  headers.forEach((value, name) => void (name === "set-cookie" || list.push(name, value)));
  for (const cookie of headers.getSetCookie()) list.push("set-cookie", cookie);
  return list;
}

/** Adds what is not in the list yet. */
export function addMissing(list: HeaderList, more: Readonly<NodeHeaders>): void {
  const length = list.length;
  for (const name in more) {
    const value = more[name];
    if (value === undefined || includes(list, name, length)) continue;
    if (typeof value === "string") list.push(name, value);
    else for (const each of value) list.push(name, each);
  }
}

function includes(list: HeaderList, name: string, length: number): boolean {
  for (let at = 0; at < length; at += 2) if (list[at] === name) return true;
  return false;
}
