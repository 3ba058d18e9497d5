import type { ServiceImpl } from "@connectrpc/connect";
import type { ProjectService } from "../gen/muster/v1/project_service_pb.ts";
import type { AnnounceEnd } from "../revocations/revocations.ts";
import { namedProject, scopeFor } from "../rpc/caller.ts";
import { createAccessKey, listAccessKeys, revokeAccessKey } from "./access-keys.ts";
import { createProject, type ProjectPorts } from "./create-project.ts";
import { deleteProject } from "./delete-project.ts";
import type { ProjectDirectory } from "./project-directory.ts";
import { accessKeyMessage, nameChange, projectMessage, settingsChange } from "./project-message.ts";
import { getProject, listProjects } from "./read-projects.ts";
import { updateProject } from "./update-project.ts";
import type { AccessKeyVerifier } from "./verify-access-key.ts";

export interface ProjectServicePorts extends ProjectPorts {
  readonly directory: ProjectDirectory;
  readonly accessKeys: AccessKeyVerifier;
  readonly announceEnd: AnnounceEnd;
}

/** ProjectService over its use cases. */
export function projectService(ports: ProjectServicePorts): ServiceImpl<typeof ProjectService> {
  const { db, tokenTtlMs } = ports;
  return {
    async createProject({ displayName, settings }, context) {
      const made = await createProject(ports, scopeFor(context, ""), displayName, settingsChange(settings));
      return { project: projectMessage(made) };
    },
    async getProject({ projectId }, context) {
      const { signal } = context;
      return { project: projectMessage(await getProject(db, signal, tokenTtlMs, namedProject(context, projectId))) };
    },
    async listProjects({ pageSize, pageToken }, { signal }) {
      const page = await listProjects(db, signal, tokenTtlMs, { size: pageSize, token: pageToken });
      return { projects: page.projects.map(projectMessage), nextPageToken: page.nextPageToken };
    },
    async updateProject({ projectId, displayName, settings, updateMask }, context) {
      const id = namedProject(context, projectId);
      const change = {
        displayName: nameChange(displayName, updateMask),
        settings: settingsChange(settings, updateMask),
      };
      const project = await updateProject(ports, scopeFor(context, id), change);
      ports.directory.forget(id);
      return { project: projectMessage(project) };
    },
    async deleteProject({ projectId }, context) {
      await deleteProject(ports, scopeFor(context, projectId));
      ports.directory.forget(projectId);
      return {};
    },
    async createAccessKey({ projectId, displayName }, context) {
      const scope = scopeFor(context, namedProject(context, projectId));
      const { credential, key } = await createAccessKey(ports, scope, displayName);
      return { accessKey: credential, key: accessKeyMessage(key) };
    },
    async listAccessKeys({ projectId }, context) {
      const scope = scopeFor(context, namedProject(context, projectId));
      return { keys: (await listAccessKeys(db, scope)).map(accessKeyMessage) };
    },
    async revokeAccessKey({ projectId, keyId }, context) {
      const scope = scopeFor(context, namedProject(context, projectId));
      const key = await revokeAccessKey(ports, scope, keyId);
      ports.accessKeys.forget(keyId);
      return { key: accessKeyMessage(key) };
    },
  };
}
