/** Of no password at all, in the form in which Muster keeps its own. */
export const SOME_HASH = `$argon2id$v=19$m=19456,t=2,p=1$${"A".repeat(22)}$${"A".repeat(43)}`;
