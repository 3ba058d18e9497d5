import type { PublicKey } from "./public-key.ts";
import { UnusableDocument } from "./remote/fetch-document.ts";
import { type KeySet, readKeySet } from "./remote/key-set.ts";
import type { RemotePorts } from "./remote/remote-document.ts";
import { createRemoteDocuments } from "./remote/remote-documents.ts";

/** The keys that somebody else publishes at a URL. */
export interface RemoteKeySet {
  /**
   * The keys of this `kid` (one at most), or without one all there are. They are as old as the answer's `cache-control` lets them be, within
   * 5 minutes and a day; a `kid` that is not there has the URL asked again, at most every 30 seconds for all who wait. While the URL
   * is away or answers something else, the last good keys serve for another day. PROVIDER_UNAVAILABLE where there are none, or where a
   * `kid` that is not there may have come meanwhile.
   */
  keysFor(keyId: string | undefined, signal?: AbortSignal): Promise<readonly PublicKey[]>;
}

/** The key sets of all URLs, as this process knows them. A key stays the same object for as long as it is in its set. */
export interface RemoteKeySets {
  /** Either a JWK Set or, as Google has them for Firebase, X.509 certificates by their `kid`. At most 64 keys are looked at. */
  keySetAt(url: string): RemoteKeySet;
  /**
   * Has the URL asked now, as for one that is being registered, and gives its keys. PROVIDER_UNAVAILABLE, or UnusableDocument if there
   * are no keys that can be used; its message continues "the URL …".
   */
  readKeySet(url: string, signal?: AbortSignal): Promise<readonly PublicKey[]>;
}

/** Makes the process's view; it asks a URL when its keys are first asked for. */
export function createRemoteKeySets(ports: RemotePorts): RemoteKeySets {
  const documentAt = createRemoteDocuments<KeySet>(ports, {
    urlOf: (url) => url,
    read: (bytes, _, last) => readKeySet(bytes, last),
  });
  return {
    keySetAt: (url) => ({
      async keysFor(keyId, signal) {
        const document = documentAt(url);
        const { keys } = await document.get(signal);
        if (keyId === undefined) return keys;
        const found = keys.filter((key) => key.keyId === keyId);
        if (found.length > 0) return found;
        return (await document.getNewer(signal)).keys.filter((key) => key.keyId === keyId);
      },
    }),
    async readKeySet(url, signal) {
      const { keys, leftOut } = await documentAt(url).getNow(signal);
      if (keys.length === 0)
        throw new UnusableDocument(`has no key that can be used${leftOut[0] ? `: ${leftOut[0]}` : ""}`);
      return keys;
    },
  };
}
