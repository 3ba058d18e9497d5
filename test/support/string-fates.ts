import type { DescMethod } from "@bufbuild/protobuf";
import type { StringPlace } from "./string-places.ts";

/**
 * What becomes of the strings of a field: `kept`, and then they come back in the field named, or in that of their own name; `asked`: they
 * name, find, prove or choose something, and nothing of them stays; `ignored`: the server sets the field, whatever is sent.
 */
export type Fate = "kept" | "asked" | "ignored" | { readonly keptAs: string };
const as = (keptAs: string): Fate => ({ keptAs: `muster.v1.${keptAs}` });

/** THE list of the fields that hold strings. A field that is missing here fails the test. */
const FATES: Record<string, Fate> = {
  "AccessKey.display_name": "kept",
  "AttributeDefinition.content_types": "kept",
  "AttributeDefinition.key": "kept",
  "AttributeValue.content_type": "kept",
  "AttributeValue.text": "kept",
  "ChangePasswordRequest.old_password": "asked",
  "ChangePasswordRequest.password": "asked",
  "CreateAccessKeyRequest.display_name": as("AccessKey.display_name"),
  "CreateProjectRequest.display_name": as("Project.display_name"),
  "DeleteAttributeDefinitionRequest.key": "asked",
  "DeleteProviderRequest.provider": "asked",
  "ExplainExternalTokenRequest.user_jwt": "asked",
  "Filter.field": "asked",
  "Filter.values": "asked",
  "FirebaseConfig.firebase_project_id": "kept",
  "FirebaseConfig.keys_uri": "kept",
  "GenerateExternalKey.algorithm": "asked",
  "GetProviderRequest.provider": "asked",
  "GuestCredential.name": as("User.name"),
  "HttpConfig.body": "kept",
  "HttpConfig.headers{key}": "kept",
  // Kept, and told to nobody.
  "HttpConfig.headers{value}": "asked",
  "HttpConfig.method": "kept",
  "HttpConfig.url": "kept",
  "HttpResponseMapping.active": "kept",
  "HttpResponseMapping.avatar_url": "kept",
  "HttpResponseMapping.email": "kept",
  "HttpResponseMapping.email_verified": "kept",
  "HttpResponseMapping.login": "kept",
  "HttpResponseMapping.metadata": "kept",
  "HttpResponseMapping.name": "kept",
  "HttpResponseMapping.subject": "kept",
  "IssueTokenRequest.audience": as("claims.aud"),
  "IssueTokenRequest.claims{key}": as("claims{key}"),
  "IssueTokenRequest.claims{value}": as("claims{value}"),
  "LiftSuspensionRequest.suspension_id": "asked",
  "LinkIdentityRequest.credential": "asked",
  "LinkIdentityRequest.nonce": "asked",
  "LinkIdentityRequest.provider": "asked",
  "LinkIdentityRequest.subject": as("Identity.subject"),
  "ListPresenceRequest.status": "asked",
  "ListUsersRequest.order_by": "asked",
  "Locator.value": "kept",
  "OidcConfig.audiences": "kept",
  "OidcConfig.client_id": "kept",
  "OidcConfig.issuer": "kept",
  "PasswordCredential.email": "asked",
  "PasswordCredential.login": "asked",
  "PasswordCredential.password": "asked",
  "PasswordCredential.phone": "asked",
  "Presence.message": as("EffectivePresence.message"),
  "Presence.metadata{key}": as("EffectivePresence.metadata{key}"),
  "Presence.metadata{value}": as("EffectivePresence.metadata{value}"),
  "Presence.status": as("EffectivePresence.status"),
  "ProjectSettings.cors_origins": "kept",
  "ProjectSettings.default_presence": "kept",
  "ProjectSettings.user_id_pattern": "kept",
  "Provider.display_name": "kept",
  "Provider.id": "kept",
  "RequestPasswordResetRequest.email": "asked",
  "ResetPasswordRequest.password": "asked",
  "ResetPasswordRequest.token": "asked",
  "RevokeAccessKeyRequest.key_id": "asked",
  "RotateExternalKeyRequest.algorithm": "asked",
  "RotateExternalKeyRequest.jwk": "asked",
  "RotateExternalKeyRequest.jwks_uri": "asked",
  "RotateExternalKeyRequest.public_key_pem": "asked",
  "SetAttributesRequest.attributes{key}": as("User.attributes{key}"),
  "SetPasswordRequest.password": "asked",
  "SignInWithProviderRequest.credential": "asked",
  "SignInWithProviderRequest.nonce": "asked",
  "SignInWithProviderRequest.provider": "asked",
  "SignUpRequest.email": as("User.email"),
  "SignUpRequest.login": as("User.login"),
  "SignUpRequest.password": "asked",
  "Suspension.id": "ignored",
  "Suspension.reason": "kept",
  "UpdateProjectRequest.display_name": as("Project.display_name"),
  "UpdateUserRequest.etag": "asked",
  "UpdateWatchRequest.watch_id": "asked",
  "UpsertUserRequest.external_id": as("User.external_id"),
  "UnlinkIdentityRequest.provider": "asked",
  "UnlinkIdentityRequest.subject": "asked",
  "User.attributes{key}": "kept",
  "User.avatar_url": "kept",
  "User.bio": "kept",
  "User.email": "kept",
  "User.etag": "ignored",
  "User.external_id": "ignored",
  "User.id": "ignored",
  "User.login": "kept",
  "User.metadata{key}": "kept",
  "User.metadata{value}": "kept",
  "User.name": "kept",
  "User.phone": "kept",
  "User.private_metadata{key}": "kept",
  "User.private_metadata{value}": "kept",
  "User.tags": "kept",
  "User.time_zone": "kept",
  "User.website": "kept",
  "UpsertUserRequest.password_hash": "asked",
  "UserRef.email": "asked",
  "UserRef.external_id": "asked",
  "UserRef.id": "asked",
  "UserRef.login": "asked",
  "UserRef.phone": "asked",
  "VerifyExternalUserRequest.user_jwt": "asked",
  "VerifyLocatorRequest.code": "asked",
  "VerifyTokenRequest.token": "asked",
};
/** Fields that are called so name where a call belongs or goes on. */
const NAMING = /\.(project_id|session_id|token_id|page_token|resume_token|refresh_token)$/;
/** Parts of a user that no request changes. */
const OF_THE_SERVER = /\.(locators|suspensions)\[\]\./;
/** They name the locator that a user has. */
const NAMING_LOCATORS = ["RemoveLocator", "RequestLocatorVerification", "VerifyLocator"];

/** What becomes of a string in a place; undefined: nobody has said. */
export function fateOf({ field, path }: StringPlace, method: DescMethod): Fate | undefined {
  if (field === "google.protobuf.FieldMask.paths" || NAMING.test(field)) return "asked";
  if (OF_THE_SERVER.test(path)) return "ignored";
  if (field === "muster.v1.Locator.value" && NAMING_LOCATORS.includes(method.name)) return "asked";
  return FATES[field.replace("muster.v1.", "")];
}
