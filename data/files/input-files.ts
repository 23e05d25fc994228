import { UserError } from "../../kernels/runtime/user-error.ts";
import { holds, realPath } from "./overwriting.ts";
import { readError } from "./file-errors.ts";

/**
 * The files of a list of files and folders: a folder stands for all files in it, in the order of
 * their names, without hidden ones, such as those that download tools leave there.
 *
 * @param output the file or folder that is made of them
 * @throws UserError if a path does not exist, if a folder holds the output, or if there is no file
 */
export async function filesOf(paths: string[], output?: string): Promise<string[]> {
  const found = await filesIn(paths);
  if (output !== undefined) await refuseFolderOf(output, paths);
  if (found.length === 0) throw new UserError(`${paths.join(" ")}: there is no file in it`);
  return found;
}

async function filesIn(paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const { isDirectory } = await Deno.stat(path).catch((error) => {
      throw readError(error, path);
    });
    if (!isDirectory) {
      found.push(path);
      continue;
    }
    const names = await Array.fromAsync(Deno.readDir(path), ({ name }) => name);
    const shown = names.filter((name) => !name.startsWith(".")).toSorted();
    for (const file of await filesIn(shown.map((name) => `${path}/${name}`))) found.push(file);
  }
  return found;
}

/** An output among its own inputs would be an input of the next run. */
async function refuseFolderOf(output: string, paths: string[]): Promise<void> {
  const target = await realPath(output);
  for (const path of paths) {
    if ((await Deno.stat(path)).isDirectory && holds(await realPath(path), target)) {
      throw new UserError(
        `the output ${output} lies in the input folder ${path}: choose one outside of it`,
      );
    }
  }
}
