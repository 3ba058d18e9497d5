/** The etag of a version that counts the changes of something. */
export const etagOf = (version: number): string => `v${version}`;

/** The version an etag stands for; undefined for an empty one; one that nothing ever has for what is no etag. */
export function versionOf(etag: string): number | undefined {
  if (etag === "") return undefined;
  const version = /^v([1-9][0-9]{0,8})$/.exec(etag)?.[1];
  return version ? Number(version) : 0;
}
