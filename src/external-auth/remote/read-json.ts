import { type JsonObject, parseStrictJson } from "../../tokens/strict-json.ts";
import { UnusableDocument } from "./fetch-document.ts";

const MAX_DEPTH = 8;

/** The object of JSON that a URL answers. Throws UnusableDocument. */
export function readJson(bytes: Uint8Array): JsonObject {
  try {
    return parseStrictJson(bytes, MAX_DEPTH);
  } catch {
    throw new UnusableDocument("does not answer a JSON object");
  }
}
