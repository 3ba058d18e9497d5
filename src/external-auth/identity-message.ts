import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Identity as IdentityMessage, IdentitySchema } from "../gen/muster/v1/provider_pb.ts";
import type { Identity } from "./identities/identity.entity.ts";

/** An identity as it goes on the wire. */
export const identityMessage = (identity: Omit<Identity, "projectId">): IdentityMessage =>
  create(IdentitySchema, {
    provider: identity.providerId,
    subject: identity.subject,
    userId: identity.userId,
    email: identity.email ?? "",
    emailVerified: identity.emailVerified,
    createTime: timestampFromDate(identity.createTime),
    lastSignInTime: identity.lastSignInTime ? timestampFromDate(identity.lastSignInTime) : undefined,
  });
