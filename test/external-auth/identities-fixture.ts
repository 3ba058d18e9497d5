import type { RequestListener } from "node:http";
import { json } from "node:stream/consumers";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startOutsideServer } from "../support/outside-server.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import type { TestApp, TestProject } from "../support/start-app.ts";

/** What a provider says of a user. */
export interface Facts {
  readonly subject: string;
  readonly email?: string;
  readonly email_verified?: unknown;
  readonly name?: string;
  readonly username?: string;
}

export const byId = (id: string) => ({ ref: { case: "id" as const, value: id } });

/** What proves a user to the provider of the fixture: what that says of the user. */
export const credentialOf = (facts: Facts): string => JSON.stringify(facts);

/** Says of whoever presents a credential what stands in it; without a subject it holds for nobody. */
const answer: RequestListener = async (request, response) => {
  const { token } = (await json(request)) as { token: string };
  const { subject } = JSON.parse(token) as Facts;
  response.writeHead(subject ? 200 : 401, { "content-type": "application/json" }).end(token);
};
const server = await startOutsideServer(answer);

/** What lets servers call the provider. */
export const ALLOWED = { egressAllow: [server.host] };

/** Where the server says what is known. */
const RESPONSE = {
  subject: "/subject",
  email: "/email",
  emailVerified: "/email_verified",
  name: "/name",
  login: "/username",
};

/** Makes a provider of a project. */
export async function addProvider(
  { system }: TestProject,
  id = "acme",
  { disabled = false }: { readonly disabled?: boolean } = {},
): Promise<void> {
  const config = { case: "http", value: { url: server.url, response: RESPONSE } } as const;
  await system(ExternalAuthService).createProvider({ provider: { id, disabled, config } });
}

/** Disables a provider, or enables it again. */
export async function setDisabled({ system }: TestProject, id: string, disabled: boolean): Promise<void> {
  await system(ExternalAuthService).updateProvider({ provider: { id, disabled }, updateMask: { paths: ["disabled"] } });
}

export const signIn = ({ client }: Pick<TestApp, "client">, { id }: TestProject, facts: Facts, provider = "acme") =>
  client(ExternalAuthService).signInWithProvider({ projectId: id, provider, credential: credentialOf(facts) });

/** The id of the user that a sign-in signs in, or the reason it is refused for. */
export const outcomeOf = (signingIn: ReturnType<typeof signIn>): Promise<string> =>
  signingIn.then(
    ({ user }) => user?.id ?? "",
    (error: Error) => reasonOf(Promise.reject(error)),
  );

/** Links an identity to a user, as `.system` does. */
export const link = ({ system }: TestProject, userId: string, provider: string, subject: string) =>
  system(ExternalAuthService).linkIdentity({ ref: byId(userId), provider, proof: { case: "subject", value: subject } });

/** The identities of a user, as `.system` sees them. */
export const identitiesOf = async (project: TestProject, userId: string) =>
  (await project.system(ExternalAuthService).listIdentities({ ref: byId(userId) })).identities;

/** The users that a project has, but for guests. */
export async function usersOf(project: TestProject) {
  const { users } = await project.system(UserService).listUsers({ pageSize: 1_000 });
  return users;
}

/** The types of all events of a project in their order, but for those of sessions. */
export async function eventsOf({ db }: TestApp, { id }: TestProject): Promise<string[]> {
  const events = await settledUserEvents(db, id);
  return events.map(({ type }) => type).filter((type) => !type.startsWith("session."));
}
