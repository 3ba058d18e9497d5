import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** The code that was last sent to an address, and how often one was sent of late. */
export const LocatorCodeEntity = defineEntity({
  name: "LocatorCode",
  tableName: "locator_codes",
  properties: {
    projectId: p.uuid().primary(),
    type: p.text().collation("C").primary(),
    key: p.text().collation("C").primary(),
    /** Whom it was sent for. */
    userId: p.uuid(),
    /** The SHA-256 of the code, sealed: 8 digits are soon guessed from a digest alone. Null once it is used. */
    sealedDigest: p.blob().nullable(),
    expireTime: p.datetime(),
    /** How many codes were tried against it. */
    tries: p.integer().default(0),
    /** How many were sent since `windowStart`. */
    sends: p.integer(),
    windowStart: p.datetime(),
    sendTime: p.datetime(),
  },
  indexes: [
    { name: "locator_codes_of_user", properties: ["projectId", "userId"] },
    { name: "locator_codes_expire_time", properties: ["expireTime"] },
    {
      name: "locator_codes_sealing",
      expression:
        "create index locator_codes_sealing on locator_codes (substring(sealed_digest from 1 for 5), project_id, type, key)",
    },
  ],
});
export type LocatorCode = InferEntity<typeof LocatorCodeEntity>;
