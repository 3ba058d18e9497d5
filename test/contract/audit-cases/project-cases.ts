import { EventService } from "../../../src/gen/muster/v1/event_service_pb.ts";
import { ExternalAuthService } from "../../../src/gen/muster/v1/external_auth_service_pb.ts";
import { SigningAlgorithm } from "../../../src/gen/muster/v1/project_pb.ts";
import { ProjectService } from "../../../src/gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../../../src/gen/muster/v1/token_service_pb.ts";
import { addProvider, link } from "../../external-auth/identities-fixture.ts";
import { settledEvents } from "../../support/settled-events.ts";
import { auditCase, type CaseOf, refOf, type World } from "./case.ts";

const WEBHOOK = { url: "https://receiver.example/events" };

async function withWebhook({ project }: World) {
  const { webhook } = await project.system(EventService).createWebhook({ webhook: WEBHOOK });
  return { webhookId: webhook?.id ?? "", target: `webhook/${webhook?.id}` };
}

/** A provider, and a user with an identity of it. */
async function withIdentity({ project }: World) {
  await addProvider(project);
  const { id } = await project.signedInUser();
  await link(project, id, "acme", "ada");
  return id;
}

/** The last key of a project that signs, or will. */
const newestKey = async (world: World, projectId: string) =>
  (await world.app.operator(TokenService).listSigningKeys({ projectId })).keys[0]?.id;

/** ProjectService, what is configured by ExternalAuthService, identities, and EventService. */
export const PROJECT_CASES: Readonly<Record<string, CaseOf>> = {
  CreateProject: async (world) =>
    auditCase({
      as: "operator",
      call: (client) => client(ProjectService).createProject({ displayName: "New" }),
      changed: async ({ project }) => {
        const projectId = project?.id ?? "";
        const key = await newestKey(world, projectId);
        return [`project/${projectId}`, `signing_key/${key}`].map((target) => ({ projectId, target }));
      },
    }),
  UpdateProject: async (world) => {
    const { id } = world.project;
    const settings = { signingAlgorithm: SigningAlgorithm.ES256 };
    return auditCase({
      call: (client) => client(ProjectService).updateProject({ displayName: "Other", settings }),
      changed: async () => [{ target: `project/${id}` }, { target: `signing_key/${await newestKey(world, id)}` }],
      repeats: "nothing",
    });
  },
  DeleteProject: async ({ project: { id: projectId } }) =>
    auditCase({
      as: "operator",
      call: (client) => client(ProjectService).deleteProject({ projectId }),
      changed: () => [{ target: `project/${projectId}` }],
      repeats: "nothing",
    }),
  CreateAccessKey: async () =>
    auditCase({
      call: (client) => client(ProjectService).createAccessKey({ displayName: "ci" }),
      changed: ({ key }) => [{ target: `access_key/${key?.id}` }],
    }),
  RevokeAccessKey: async ({ project }) => {
    const { key } = await project.system(ProjectService).createAccessKey({});
    return auditCase({
      as: "operator",
      call: (client) => client(ProjectService).revokeAccessKey({ projectId: project.id, keyId: key?.id ?? "" }),
      changed: () => [{ target: `access_key/${key?.id}` }],
      repeats: "nothing",
    });
  },
  RotateExternalKey: async ({ project }) => {
    const generate = { key: { case: "generate", value: {} } } as const;
    const { key: before } = await project.system(ExternalAuthService).rotateExternalKey(generate);
    return auditCase({
      call: (client) => client(ExternalAuthService).rotateExternalKey(generate),
      changed: ({ key }) => [before, key].map((it) => ({ target: `external_key/${it?.id}` })),
    });
  },
  CreateProvider: async () => {
    const config = { case: "oidc", value: { issuer: "https://issuer.example", clientId: "app" } } as const;
    return auditCase({
      call: (client) => client(ExternalAuthService).createProvider({ provider: { id: "openid", config } }),
      changed: () => [{ target: "provider/openid" }],
      repeats: "nothing",
    });
  },
  UpdateProvider: async ({ project }) => {
    await addProvider(project);
    const provider = { id: "acme", disabled: true };
    return auditCase({
      call: (client) => client(ExternalAuthService).updateProvider({ provider, updateMask: { paths: ["disabled"] } }),
      changed: () => [{ target: "provider/acme" }],
      repeats: "nothing",
    });
  },
  DeleteProvider: async (world) => {
    const userId = await withIdentity(world);
    return auditCase({
      call: (client) => client(ExternalAuthService).deleteProvider({ provider: "acme", force: true }),
      changed: () => [{ userId, target: "identity/acme" }, { target: "provider/acme" }],
      repeats: "nothing",
    });
  },
  LinkIdentity: async ({ project }) => {
    await addProvider(project);
    const { id } = await project.signedInUser();
    const request = { ref: refOf(id), provider: "acme", proof: { case: "subject", value: "ada" } } as const;
    return auditCase({
      call: (client) => client(ExternalAuthService).linkIdentity(request),
      changed: () => [{ userId: id, target: "identity/acme" }],
      repeats: "nothing",
    });
  },
  UnlinkIdentity: async (world) => {
    const userId = await withIdentity(world);
    await addProvider(world.project, "other");
    await link(world.project, userId, "other", "ada");
    return auditCase({
      call: (client) => client(ExternalAuthService).unlinkIdentity({ ref: refOf(userId), provider: "acme" }),
      changed: () => [{ userId, target: "identity/acme" }],
      repeats: "nothing",
    });
  },
  CreateWebhook: async () =>
    auditCase({
      call: (client) => client(EventService).createWebhook({ webhook: WEBHOOK }),
      changed: ({ webhook }) => [{ target: `webhook/${webhook?.id}` }],
    }),
  UpdateWebhook: async (world) => {
    const { webhookId, target } = await withWebhook(world);
    const webhook = { id: webhookId, url: "https://other.example/events" };
    return auditCase({
      call: (client) => client(EventService).updateWebhook({ webhook, updateMask: { paths: ["url"] } }),
      changed: () => [{ target }],
      repeats: "nothing",
    });
  },
  RotateWebhookSecret: async (world) => {
    const { webhookId, target } = await withWebhook(world);
    return auditCase({
      call: (client) => client(EventService).rotateWebhookSecret({ webhookId }),
      changed: () => [{ target }],
    });
  },
  RedeliverEvent: async (world) => {
    const { webhookId, target } = await withWebhook(world);
    const [event] = await settledEvents(world.app.db, world.project.id);
    const request = { webhookId, which: { case: "eventId", value: event?.id ?? "" } } as const;
    return auditCase({
      call: (client) => client(EventService).redeliverEvent(request),
      changed: () => [{ target }],
    });
  },
  DeleteWebhook: async (world) => {
    const { webhookId, target } = await withWebhook(world);
    return auditCase({
      call: (client) => client(EventService).deleteWebhook({ webhookId }),
      changed: () => [{ target }],
      repeats: "nothing",
    });
  },
};
