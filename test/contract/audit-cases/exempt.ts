import { ExternalAuthService } from "../../../src/gen/muster/v1/external_auth_service_pb.ts";
import { PresenceService } from "../../../src/gen/muster/v1/presence_service_pb.ts";
import { TokenService } from "../../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../../src/gen/muster/v1/user_service_pb.ts";
import { refOf, type World } from "./case.ts";

/** A call that leaves no entry. */
export interface Exempt {
  readonly why: string;
  /** Prepares the call. */
  prepare(world: World): Promise<() => Promise<unknown>>;
}

const STATE = "a presence is what is, and is over by itself: a history of it would be one of where people were";
const presence = { status: "online" };

async function withToken({ project }: World) {
  const user = await project.signedInUser();
  return { ...user, ref: refOf(user.id), presences: project.system(PresenceService) };
}

/** THE list of RPCs that are not declared to be without side effects and leave no entry, each with the reason. */
export const EXEMPT: Readonly<Record<string, Exempt>> = {
  SetPresence: {
    why: STATE,
    prepare: async (world) => {
      const { presences, ref } = await withToken(world);
      return () => presences.setPresence({ ref, presence });
    },
  },
  BatchSetPresence: {
    why: STATE,
    prepare: async (world) => {
      const { presences, ref } = await withToken(world);
      return () => presences.batchSetPresence({ presences: [{ ref, presence }] });
    },
  },
  UpdateWatch: {
    why: "whom a stream tells of is known to the server that holds it, and to nothing else",
    prepare:
      async ({ project }) =>
      () =>
        project.system(PresenceService).updateWatch({ watchId: "none" }),
  },
  VerifyToken: {
    why: "says of a token whether it is good, by what is there",
    prepare: async (world) => {
      const { token } = await withToken(world);
      return () => world.project.system(TokenService).verifyToken({ token });
    },
  },
  ExplainExternalToken: {
    why: "makes the checks of a sign-in and takes all of it back",
    prepare:
      async ({ project }) =>
      () =>
        project.system(ExternalAuthService).explainExternalToken({ userJwt: "x" }),
  },
};

/** Calls of other RPCs that leave no entry either. */
export const QUIET: Readonly<Record<string, Exempt>> = {
  "IssueToken of a stateless token": {
    why: "nothing is kept of it",
    prepare: async (world) => {
      const { ref } = await withToken(world);
      return () => world.project.system(TokenService).issueToken({ ref, stateless: true });
    },
  },
  "BatchUpsertUsers that only validates": {
    why: "all of it is taken back",
    prepare:
      async ({ project }) =>
      () =>
        project.system(UserService).batchUpsertUsers({ users: [{ externalId: "alice" }], validateOnly: true }),
  },
};
