import { join } from "node:path";
import { fileURLToPath } from "node:url";

const OURS = new URL("../../.git", import.meta.url);

/**
 * The commit of this program's checkout, as git's own files name it; changes that were not committed
 * do not show. Undefined where there is no checkout, or where it may not be read.
 *
 * @param path `.git` of another checkout
 */
export async function currentCommit(path: URL = OURS): Promise<string | undefined> {
  try {
    const git = await gitFolder(fileURLToPath(path));
    const head = await read(git, "HEAD");
    const name = /^ref: (.+)$/.exec(head)?.[1];
    const commit = name === undefined ? head : await resolve(git, name);
    return /^[0-9a-f]{40,64}$/.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/** In a worktree, `.git` is a file that names the folder. */
async function gitFolder(path: string): Promise<string> {
  if ((await Deno.stat(path)).isDirectory) return path;
  return (await Deno.readTextFile(path)).replace(/^gitdir: /, "").trim();
}

/** The commit of a branch: in a file of its own, or packed with others. */
async function resolve(git: string, name: string): Promise<string> {
  const common = join(git, await read(git, "commondir").catch(() => "."));
  try {
    return await read(common, name);
  } catch {
    const lines = (await read(common, "packed-refs")).split("\n");
    return lines.find((line) => line.endsWith(` ${name}`))?.split(" ")[0] ?? "";
  }
}

async function read(folder: string, name: string): Promise<string> {
  return (await Deno.readTextFile(join(folder, name))).trim();
}
