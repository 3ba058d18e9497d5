import { createRemoteDocument, type RemoteDocument, type RemotePorts } from "./remote-document.ts";

/** Some thousand keys, or some hundred KB of documents. */
const MOST = 1_000;

/** What is kept at URLs, each found by a key of the caller's. */
export interface RemoteDocumentKind<Value> {
  urlOf(key: string): string;
  /** Gets the last value too, to take over what has not changed. Throws UnusableDocument, and the last good one stays. */
  read(bytes: Uint8Array, key: string, last: Value | undefined): Value;
}

/** What is known of many: the one longest unused is forgotten first. */
export function createRemoteDocuments<Value>(
  ports: RemotePorts,
  { urlOf, read }: RemoteDocumentKind<Value>,
): (key: string) => RemoteDocument<Value> {
  const documents = new Map<string, RemoteDocument<Value>>();
  const documentOf = (key: string) =>
    createRemoteDocument<Value>(ports, urlOf(key), (bytes, last) => read(bytes, key, last));
  return (key) => {
    const document = documents.get(key) ?? documentOf(key);
    documents.delete(key);
    documents.set(key, document);
    const [oldest] = documents.keys();
    if (documents.size > MOST && oldest !== undefined) documents.delete(oldest);
    return document;
  };
}
