/** What tabs tell each other. */
export type TabMessage<State> =
  /** A new tab asks what the others have. */
  | { readonly kind: "ask" }
  /** What this tab has; undefined: it has been signed out. */
  | { readonly kind: "have"; readonly state: State | undefined };

/** The tabs of one origin that share a session. */
export interface Tabs<State> extends Disposable {
  post(message: TabMessage<State>): void;
  /** Runs `work` in one tab at a time. `waited` says whether another tab was at it before. */
  exclusively<T>(work: (waited: boolean) => Promise<T>): Promise<T>;
}

/**
 * The tabs of this browser, by the Web Locks API and a BroadcastChannel of `name`, which reach pages of the same origin only. Tokens that
 * pass through it stay in memory.
 */
export function createTabs<State>(name: string, onMessage: (message: TabMessage<State>) => void): Tabs<State> {
  const channel = new BroadcastChannel(name);
  channel.onmessage = (event: MessageEvent) => onMessage(event.data as TabMessage<State>);
  return {
    post: (message) => channel.postMessage(message),
    async exclusively(work) {
      const { locks } = navigator;
      const outcome = await locks.request(
        name,
        { ifAvailable: true },
        async (lock) => lock && { of: await work(false) },
      );
      return outcome ? outcome.of : await locks.request(name, () => work(true));
    },
    [Symbol.dispose]: () => channel.close(),
  };
}

/** A tab by itself: what several processes of a service are to each other. */
export function aloneTab<State>(): Tabs<State> {
  return { post: () => {}, exclusively: (work) => work(false), [Symbol.dispose]: () => {} };
}
