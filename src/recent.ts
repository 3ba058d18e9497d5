/** What was used last, by key. Holds no more than it is told to, nor anything longer than it is among the last used. */
export interface Recent<Value> {
  get(key: string): Value | undefined;
  put(key: string, value: Value): void;
}

/** Makes an empty one that keeps the last `most / 2` used at least, and `most` at most. */
export function createRecent<Value>(most: number): Recent<Value> {
  // Two halves: what is used again moves to the young one; when that is full the old one goes.
  let young = new Map<string, Value>();
  let old = new Map<string, Value>();
  const put = (key: string, value: Value) => {
    if (young.size >= most / 2) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  };
  return {
    put,
    get(key) {
      const recent = young.get(key);
      if (recent !== undefined) return recent;
      const value = old.get(key);
      if (value !== undefined) put(key, value);
      return value;
    },
  };
}
