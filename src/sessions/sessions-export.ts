import { tableSection } from "../export/table-section.ts";

const OF_SECRETS = "which of the session's tokens counts: its secrets are made with it";

/** Where a user is signed in, or was until lately. */
export const SESSIONS_EXPORT = tableSection({
  name: "sessions",
  table: "sessions",
  key: ["create_time", "id"],
  exported: [
    "id",
    "create_time",
    "user_agent",
    "address",
    "last_active_time",
    "expire_time",
    "end_time",
    "guest_end_time",
    "refresh_rotate_time",
    "refresh_expire_time",
    "refresh_end_time",
  ],
  withheld: {
    sealed_seed: "the secret that its tokens are made of",
    token_digest: "a secret is checked by it",
    generation: OF_SECRETS,
    refresh_counter: OF_SECRETS,
    forget_time: "made of the other times",
  },
});
