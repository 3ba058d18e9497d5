import { ExternalAuthService } from "../../../src/gen/muster/v1/external_auth_service_pb.ts";
import { SessionService } from "../../../src/gen/muster/v1/session_service_pb.ts";
import { RotationMode, TokenService } from "../../../src/gen/muster/v1/token_service_pb.ts";
import { keyPair, signerFor } from "../../external-auth/external-fixture.ts";
import { addProvider, credentialOf } from "../../external-auth/identities-fixture.ts";
import { byLogin, guest, PASSWORD, refresh, signUp } from "../../sessions/sessions-fixture.ts";
import { auditCase, type CaseOf, refOf, type World } from "./case.ts";

/** A user that is signed in by its password. */
async function withAda({ app, project }: World) {
  const { userId, sessionId, grant } = await signUp(app, project, "ada");
  const user = { id: userId, credential: grant.sessionToken };
  const again = () => app.client(SessionService).createSession({ projectId: project.id, credential: byLogin("ada") });
  return { user, sessionId, grant, again };
}

/** A user with a token that is kept. */
async function withToken({ project }: World) {
  const { id } = await project.signedInUser();
  const { token, signedToken } = await project.system(TokenService).issueToken({ ref: refOf(id) });
  return { user: { id, credential: signedToken }, tokenId: token?.id ?? "" };
}

/** A user by email, and the token of a link by which it sets another password. */
async function withResetToken({ app, project, mailsTo }: World, email: string) {
  const anonymous = app.client(SessionService);
  const { user } = await anonymous.signUp({ projectId: project.id, email, password: PASSWORD });
  await anonymous.requestPasswordReset({ projectId: project.id, email });
  const [mail = ""] = await mailsTo(email, 1);
  return { userId: user?.id ?? "", token: /mrp_[A-Za-z0-9_-]{48}/.exec(mail)?.[0] ?? "" };
}

const keysOf = async ({ project }: World) =>
  (await project.system(TokenService).listSigningKeys({})).keys.map(({ id }) => `signing_key/${id}`);

/** SessionService and TokenService, and the sign-ins of ExternalAuthService. */
export const SIGN_IN_CASES: Readonly<Record<string, CaseOf>> = {
  SignUp: async ({ project: { id: projectId } }) =>
    auditCase({
      as: "anonymous",
      call: (client) => client(SessionService).signUp({ projectId, login: "ada", password: PASSWORD }),
      changed: ({ user, grant }) => [
        { userId: user?.id },
        { userId: user?.id, target: `session/${grant?.session?.id}` },
      ],
      repeats: "nothing",
    }),
  CreateSession: async (world) => {
    const { user } = await withAda(world);
    const projectId = world.project.id;
    return auditCase({
      as: "anonymous",
      call: (client) => client(SessionService).createSession({ projectId, credential: byLogin("ada") }),
      changed: ({ grant }) => [{ userId: user.id, target: `session/${grant?.session?.id}` }],
    });
  },
  DeleteSession: async (world) => {
    const { user, again } = await withAda(world);
    const sessionId = (await again()).grant?.session?.id ?? "";
    return auditCase({
      as: user,
      call: (client) => client(SessionService).deleteSession({ sessionId }),
      changed: () => [{ userId: user.id, target: `session/${sessionId}` }],
      repeats: "nothing",
    });
  },
  "DeleteSession of the others": async (world) => {
    const { user, again } = await withAda(world);
    const others = [await again(), await again()].map(({ grant }) => `session/${grant?.session?.id}`);
    return auditCase({
      as: user,
      call: (client) => client(SessionService).deleteSession({ others: true }),
      changed: () => others.map((target) => ({ userId: user.id, target })),
      repeats: "nothing",
    });
  },
  ChangePassword: async (world) => {
    const { user, again } = await withAda(world);
    const other = (await again()).grant?.session?.id;
    return auditCase({
      as: user,
      call: (client) =>
        client(SessionService).changePassword({ oldPassword: PASSWORD, password: "staple correct battery" }),
      changed: () => [{ userId: user.id }, { userId: user.id, target: `session/${other}` }],
      repeats: "nothing",
    });
  },
  RequestPasswordReset: async ({ app, project: { id: projectId } }) => {
    const email = "requests@example.org";
    const { user } = await app.client(SessionService).signUp({ projectId, email, password: PASSWORD });
    return auditCase({
      as: "anonymous",
      call: (client) => client(SessionService).requestPasswordReset({ projectId, email }),
      changed: () => [{ userId: user?.id }],
      isLate: true,
    });
  },
  ResetPassword: async (world) => {
    const { userId, token } = await withResetToken(world, "resets@example.org");
    const projectId = world.project.id;
    return auditCase({
      as: "anonymous",
      call: (client) => client(SessionService).resetPassword({ projectId, token, password: "staple correct battery" }),
      changed: () => [{ userId }],
      repeats: "nothing",
    });
  },
  RefreshToken: async (world) => {
    const { userId, sessionId, grant } = await guest(world.app, world.project);
    const request = { projectId: world.project.id, refreshToken: grant.refreshToken };
    return auditCase({
      as: "anonymous",
      call: (client) => client(TokenService).refreshToken(request),
      changed: () => [{ userId, target: `session/${sessionId}` }],
      repeats: "nothing",
    });
  },
  "RefreshToken by a token that was used": async (world) => {
    const { app, project } = world;
    const { userId, sessionId, grant } = await guest(app, project);
    const next = await refresh(app, project, grant.refreshToken);
    await refresh(app, project, next.grant?.refreshToken ?? "");
    const request = { projectId: project.id, refreshToken: grant.refreshToken };
    return auditCase({
      as: "anonymous",
      call: (client) =>
        client(TokenService)
          .refreshToken(request)
          .catch(() => undefined),
      changed: () => [{ userId, target: `session/${sessionId}` }],
      repeats: "nothing",
      isLate: true,
    });
  },
  IssueToken: async (world) => {
    const { id } = await world.project.signedInUser();
    return auditCase({
      call: (client) => client(TokenService).issueToken({ ref: refOf(id) }),
      changed: ({ token }) => [{ userId: id, target: `token/${token?.id}` }],
    });
  },
  ExtendToken: async (world) => {
    const { user, tokenId } = await withToken(world);
    return auditCase({
      as: user,
      call: (client) => client(TokenService).extendToken({ tokenId, ttl: { seconds: 2_000_000n } }),
      changed: () => [{ userId: user.id, target: `token/${tokenId}` }],
    });
  },
  RevokeToken: async (world) => {
    const { user, tokenId } = await withToken(world);
    return auditCase({
      call: (client) => client(TokenService).revokeToken({ tokenId }),
      changed: () => [{ userId: user.id, target: `token/${tokenId}` }],
      repeats: "nothing",
    });
  },
  RevokeUserTokens: async (world) => {
    const { user } = await withToken(world);
    return auditCase({
      call: (client) => client(TokenService).revokeUserTokens({ ref: refOf(user.id) }),
      changed: () => [{ userId: user.id }],
    });
  },
  RotateSigningKey: async (world) => {
    const before = await keysOf(world);
    return auditCase({
      call: (client) => client(TokenService).rotateSigningKey({ mode: RotationMode.GRACEFUL }),
      changed: async () => (await keysOf(world)).filter((key) => !before.includes(key)).map((target) => ({ target })),
      repeats: "nothing",
    });
  },
  "RotateSigningKey that revokes all": async (world) => {
    const before = await keysOf(world);
    return auditCase({
      call: (client) => client(TokenService).rotateSigningKey({ mode: RotationMode.REVOKE_ALL }),
      changed: async () => [...before, ...(await keysOf(world))].map((target) => ({ target })),
    });
  },
  VerifyExternalUser: async ({ app, project }) => {
    const pair = keyPair();
    const key = { case: "publicKeyPem", value: pair.pem } as const;
    await project.system(ExternalAuthService).rotateExternalKey({ key, algorithm: pair.algorithm });
    const userJwt = signerFor(app, project, pair)({ userData: { name: "A" } });
    return auditCase({
      as: "anonymous",
      call: (client) => client(ExternalAuthService).verifyExternalUser({ projectId: project.id, userJwt }),
      changed: ({ user, grant }) => [
        { userId: user?.id },
        { userId: user?.id, target: `session/${grant?.session?.id}` },
      ],
    });
  },
  SignInWithProvider: async ({ project }) => {
    await addProvider(project);
    const request = { projectId: project.id, provider: "acme", credential: credentialOf({ subject: "ada" }) };
    return auditCase({
      as: "anonymous",
      call: (client) => client(ExternalAuthService).signInWithProvider(request),
      changed: ({ user, grant }) => [
        { userId: user?.id },
        { userId: user?.id, target: "identity/acme" },
        { userId: user?.id, target: `session/${grant?.session?.id}` },
      ],
    });
  },
};
