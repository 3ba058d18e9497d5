import type { ContextKey, ContextValues } from "@connectrpc/connect";

/** What is noted of one call, of which it is a handful: to look through them costs less than to hash. */
export class CallValues implements ContextValues {
  readonly #keys: symbol[] = [];
  readonly #values: unknown[] = [];

  get<T>(key: ContextKey<T>): T {
    const index = this.#keys.indexOf(key.id);
    return index < 0 ? key.defaultValue : (this.#values[index] as T);
  }

  set<T>(key: ContextKey<T>, value: T): this {
    const index = this.#keys.indexOf(key.id);
    if (index >= 0) this.#values[index] = value;
    else {
      this.#keys.push(key.id);
      this.#values.push(value);
    }
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    const index = this.#keys.indexOf(key.id);
    if (index >= 0) {
      this.#keys.splice(index, 1);
      this.#values.splice(index, 1);
    }
    return this;
  }
}
