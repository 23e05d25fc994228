import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isMissing } from "./file-errors.ts";
import { isRecord } from "./is-record.ts";

/**
 * Refuses outputs that would overwrite an input or another output, also where links give them other
 * names.
 *
 * @param outputs files or folders that will be overwritten or removed; they need not exist
 * @throws UserError naming the two
 */
export async function refuseOverwriting(inputs: string[], outputs: string[]): Promise<void> {
  const taken = await Promise.all(
    inputs.map(async (path) => ({ path, real: await realPath(path) })),
  );
  for (const path of outputs) {
    const real = await realPath(path);
    const lost = taken.find((other) => holds(real, other.real) || holds(other.real, real));
    if (lost !== undefined) {
      throw new UserError(
        `the output ${path} would overwrite ${lost.path}: choose another output`,
      );
    }
    taken.push({ path, real });
  }
}

/**
 * Refuses to overwrite a JSON file that this program did not write.
 *
 * @param keys keys that every file of this program has
 * @throws UserError if there is another file
 */
export async function refuseForeign(path: string, keys: string[]): Promise<void> {
  let content: unknown;
  try {
    content = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (isMissing(error)) return;
  }
  const isOurs = isRecord(content) && keys.every((key) => key in content);
  if (!isOurs) throw foreign(path);
}

/**
 * Refuses to overwrite any file: nothing in it would show that this program wrote it.
 *
 * @throws UserError if there is one
 */
export async function refuseReplacing(path: string): Promise<void> {
  const isThere = await Deno.lstat(path).then(() => true, () => false);
  if (isThere) throw foreign(path);
}

function foreign(path: string): UserError {
  return new UserError(
    `${path} is not a file of this program and would be overwritten: move it away, or choose another output`,
  );
}

/** Whether a folder holds a path or is this path; both as {@linkcode realPath} gives them. */
export function holds(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? folder : `${folder}/`);
}

/** A path without links, also of a file that does not exist yet. */
export async function realPath(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch {
    const whole = resolve(path);
    return join(await realPath(dirname(whole)), basename(whole));
  }
}
