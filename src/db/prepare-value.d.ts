/** What the driver's types leave out; pg-cursor, of the same authors, uses it as well. */
declare module "pg/lib/utils.js" {
  const utils: {
    /** A parameter as it goes over the wire. */
    prepareValue(value: unknown): string | Buffer | null;
  };
  export default utils;
}
