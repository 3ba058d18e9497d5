import { apiPage } from "./api-page.ts";
import { configurationPage } from "./configuration-page.ts";
import { readContract } from "./descriptors.ts";
import { errorsPage } from "./errors-page.ts";

/** Every page of docs/ that is made from source, by its path. */
export function referencePages(): ReadonlyMap<string, string> {
  const contract = readContract();
  const pages = { api: apiPage(contract), errors: errorsPage(contract), configuration: configurationPage() };
  return new Map(Object.entries(pages).map(([name, text]) => [`docs/${name}.md`, `${text}\n`]));
}
