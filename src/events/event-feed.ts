import type { Listener } from "../db/listener.ts";
import { EVENTS_CHANNEL } from "./append-event.ts";
import { EventTail, type TailPorts } from "./event-tail.ts";

/** A project's tail, followed by one who reads it. */
export interface FollowedTail extends Disposable {
  readonly tail: EventTail;
}

/** What happens in the projects that are watched in this process. */
export interface EventFeed extends AsyncDisposable {
  /** Follows a project until it is disposed: `onNews` is called whenever there is something new. */
  follow(projectId: string, onNews: () => void): FollowedTail;
}

/** How long a tail that nobody follows any more is kept: readers come back soon. */
const KEPT_MS = 10_000;

/** The feed of this process. `clock` is the machine's own: it says how soon the database is asked again. */
export function createEventFeed({ listener, ...ports }: TailPorts & { readonly listener: Listener }): EventFeed {
  const tails = new Map<string, EventTail>();
  let closed = false;
  const wakeAll = () => {
    for (const tail of tails.values()) tail.wake();
  };
  const listening = listener.listen(EVENTS_CHANNEL, {
    onNotification: (projectId) => tails.get(projectId)?.wake(),
    onGap: wakeAll,
  });

  function tailOf(projectId: string): EventTail {
    const there = tails.get(projectId);
    if (there) return there;
    const tail = new EventTail(ports, projectId);
    tails.set(projectId, tail);
    return tail;
  }

  function drop(projectId: string, tail: EventTail): void {
    if (tail.followed || tails.get(projectId) !== tail) return;
    tails.delete(projectId);
    tail.close();
  }

  return {
    follow(projectId, onNews) {
      const tail = tailOf(projectId);
      const following = tail.follow(onNews);
      tail.wake();
      return {
        tail,
        [Symbol.dispose]() {
          following[Symbol.dispose]();
          if (!closed && !tail.followed) ports.clock.schedule(KEPT_MS, () => drop(projectId, tail));
        },
      };
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const tail of tails.values()) tail.close();
      tails.clear();
      // While the database is away, the listener's acknowledgement may never come: nothing waits for it.
      void listening.then((subscription) => subscription[Symbol.dispose]());
    },
  };
}
