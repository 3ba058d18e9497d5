import { type IssuedToken, type IssueTokenPorts, signToken } from "./issue-token.ts";

/** A session's access token to be; times in milliseconds since the epoch. */
export interface NewAccessToken {
  readonly projectId: string;
  readonly userId: string;
  readonly externalId: string;
  readonly sessionId: string;
  /** It is issued in this second at the earliest: one that the user's watermark may lie in. */
  readonly notBefore: number;
  /** It ends then at the latest. */
  readonly endAt: number;
}

/** Mints the access tokens of sessions. */
export interface AccessTokens {
  /** A JWT of which nothing is kept, with the claim `sid`. PROJECT_NOT_FOUND, STORAGE_UNAVAILABLE. */
  issue(input: NewAccessToken): Promise<{ signedToken: string; token: IssuedToken }>;
}

const SECOND_MS = 1_000;
const fullSecond = (ms: number): number => Math.floor(ms / SECOND_MS) * SECOND_MS;

/** The port of the feature that sessions are given. */
export const createAccessTokens = (ports: IssueTokenPorts): AccessTokens => ({
  issue: (input) => issueAccessToken(ports, input),
});

async function issueAccessToken(
  { clock, newId, projects, keys, issuers }: IssueTokenPorts,
  { projectId, userId, externalId, sessionId, notBefore, endAt }: NewAccessToken,
) {
  const { settings } = await projects.get(projectId);
  const issuedAt = Math.max(fullSecond(clock.now()), fullSecond(notBefore));
  // A project whose tokens may not live so long takes none that do.
  const latest = fullSecond(Math.min(settings.accessTokenTtlMs, settings.tokenTtlMaxMs)) + issuedAt;
  const expiresAt = Math.max(issuedAt + SECOND_MS, Math.min(latest, fullSecond(endAt)));
  // One that was taken back within this half second signs a token that nobody takes: the client refreshes.
  const key = await keys.toSign(projectId, expiresAt - issuedAt);
  const token: IssuedToken = { tokenId: newId(), userId, issuedAt, expiresAt };
  const content = { ...token, projectId, externalId, claims: { sid: sessionId }, audience: [] };
  return { signedToken: await signToken(issuers, key, content), token };
}
