import { connectToServer } from "./api-client.ts";
import { readDevelopmentCredentials, writeDevelopmentCredentials } from "./development-credentials.ts";

/** The name of the project that a fresh database gets. */
const DISPLAY_NAME = "Development";

/** Sees to it that the server at `url` has a project to try it with, and that the file in the data folder leads there. */
export async function provideDevelopmentProject(dataDir: string, url: string, operatorKey: string): Promise<void> {
  const known = await readDevelopmentCredentials(dataDir);
  if (known?.url === url && known.operator_key === operatorKey) return;
  const { project_id, access_key } = known ?? (await makeProject(url, operatorKey));
  await writeDevelopmentCredentials(dataDir, { url, project_id, access_key, operator_key: operatorKey });
}

async function makeProject(url: string, operatorKey: string) {
  // The certificate of this very process need not be one that this machine trusts.
  const { projects } = connectToServer(url, operatorKey, { ownServer: true });
  // An earlier first start may have ended between making the project and writing the file.
  const { projects: existing } = await projects.listProjects({ pageSize: 1 });
  const project = existing[0] ?? (await projects.createProject({ displayName: DISPLAY_NAME })).project;
  const projectId = project?.id ?? "";
  const { accessKey } = await projects.createAccessKey({ projectId, displayName: DISPLAY_NAME });
  return { project_id: projectId, access_key: accessKey };
}
