import { UserError } from "../kernels/user-error.ts";
import { messageOf } from "./error-message.ts";

/**
 * The files of a list of files and folders: a folder stands for all that is in it, by name.
 *
 * @throws UserError if one of them is not there, or none holds a file
 */
export async function filesOf(paths: string[]): Promise<string[]> {
  const found = await filesIn(paths);
  if (found.length === 0) throw new UserError(`${paths.join(" ")}: there is no file in it`);
  return found;
}

async function filesIn(paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    let stat: Deno.FileInfo;
    try {
      stat = await Deno.stat(path);
    } catch (error) {
      const reason = messageOf(error);
      throw new UserError(`${path} cannot be read: ${reason}`);
    }
    if (!stat.isDirectory) {
      found.push(path);
      continue;
    }
    const names = await Array.fromAsync(Deno.readDir(path), ({ name }) => name);
    found.push(...await filesIn(names.toSorted().map((name) => `${path}/${name}`)));
  }
  return found;
}
