/**
 * The rules that make the hub right in the end, whatever is lost, doubled, late or out of order. In service all of them hold; the model
 * checker leaves out one after the other, and shows that it is then wrong.
 */
export interface HubRules {
  /** The engine's clock alone counts. */
  readonly engineClock: boolean;
  /** An older revision never replaces a newer one. */
  readonly maxMerge: boolean;
  /** A user is subscribed to, and that is acknowledged, before it is read. */
  readonly subscribeFirst: boolean;
  /** Every user is read again within a minute. */
  readonly reconcile: boolean;
  /** No link ends before a read says so. */
  readonly verifyOnFire: boolean;
  /** A read that began after the user was last brought up to date is right even with an older revision: the engine lost the newer one. */
  readonly rollback: boolean;
}

export const ALL_RULES: HubRules = {
  engineClock: true,
  maxMerge: true,
  subscribeFirst: true,
  reconcile: true,
  verifyOnFire: true,
  rollback: true,
};

/** What the model checker puts in the place of what holds in service. */
export interface HubSeams {
  readonly rules: HubRules;
  /** Gives an integer from `least` to below `most`: when users are read again differs. */
  jitter(least: number, most: number): number;
}
