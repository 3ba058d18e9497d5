import type { Grant } from "../../src/gen/muster/v1/session_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import type { TestApp, TestProject } from "../support/start-app.ts";

/** The user that calls. */
export const ME = { ref: { ref: { case: "me", value: true } } } as const;

/** What a sign-in gives, with nothing left out. */
export interface SignedIn {
  readonly userId: string;
  readonly sessionId: string;
  readonly grant: Grant;
}

/** Signs in a new guest. */
export async function guest({ client }: TestApp, { id }: TestProject, name = ""): Promise<SignedIn> {
  const credential = { case: "guest", value: { name } } as const;
  const { grant, user } = await client(SessionService).createSession({ projectId: id, credential });
  if (!grant || !user) throw new Error("the sign-in gave nothing");
  return { userId: user.id, sessionId: grant.session?.id ?? "", grant };
}

/** Uses a refresh token, without a credential. */
export const refresh = ({ client }: Pick<TestApp, "client">, { id }: TestProject, refreshToken: string) =>
  client(TokenService).refreshToken({ projectId: id, refreshToken });

/** A password that is taken. */
export const PASSWORD = "correct horse battery";

/** Signs up a new user with a login. */
export async function signUp({ client }: TestApp, { id }: TestProject, login: string): Promise<SignedIn> {
  const request = { projectId: id, login, password: PASSWORD };
  const { grant, user } = await client(SessionService).signUp(request);
  if (!grant || !user) throw new Error("the sign-up gave nothing");
  return { userId: user.id, sessionId: grant.session?.id ?? "", grant };
}

/** What CreateSession takes of a user with a password. */
export const byLogin = (login: string, password: string = PASSWORD) =>
  ({ case: "password", value: { identifier: { case: "login", value: login }, password } }) as const;
