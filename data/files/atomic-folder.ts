import { basename, dirname, join, resolve } from "node:path";
import { exists } from "./exists.ts";
import { makeFolder } from "./make-folder.ts";
import { writeError } from "./file-errors.ts";

/**
 * Writes a folder so that a kill or a power cut at any moment leaves the old folder or the new one,
 * whole. `write` fills a hidden folder beside it, which is put on the disk and then renamed.
 *
 * A folder cannot be renamed over another, so an existing one steps aside first, to
 * `.NAME.previous`. A kill between the two renames leaves it there: `currentFolder` finds it, and
 * the next write puts it back. One process at a time may write a folder of this name; what an
 * earlier one left unfinished is removed.
 *
 * @throws UserError if the folder cannot be written, such as to a full disk, and what `write`
 *   throws
 */
export async function writeFolderAtomically(
  dir: string,
  write: (aside: string) => Promise<void>,
): Promise<void> {
  const { parent, name, path, previous } = places(dir);
  await makeFolder(parent);
  await recover(path, previous);
  await removeUnfinished(parent, name);

  const aside = join(parent, `.${name}.partial-${Deno.pid}`);
  try {
    await makeFolder(aside);
    await write(aside);
    await syncTree(aside);
    if (await exists(path)) await Deno.rename(path, previous);
    await Deno.rename(aside, path);
    await syncFolder(parent);
  } catch (error) {
    await removeIfThere(aside).catch(() => {}); // the first error is the one that matters
    await recover(path, previous);
    throw writeError(error, dir);
  }
  await removeIfThere(previous);
}

/**
 * The path from which the folder `dir`, written as above, is to be read. Changes nothing on the
 * disk.
 */
export async function currentFolder(dir: string): Promise<string> {
  const { path, previous } = places(dir);
  return !await exists(path) && await exists(previous) ? previous : dir;
}

function places(dir: string) {
  const path = resolve(dir);
  const parent = dirname(path);
  const name = basename(path);
  return { path, parent, name, previous: join(parent, `.${name}.previous`) };
}

/** Undoes or completes a replacement that was cut off between its two renames or after them. */
async function recover(path: string, previous: string): Promise<void> {
  if (!await exists(previous)) return;
  if (await exists(path)) await removeIfThere(previous);
  else await Deno.rename(previous, path);
}

async function removeUnfinished(parent: string, name: string): Promise<void> {
  for await (const entry of Deno.readDir(parent)) {
    if (entry.name.startsWith(`.${name}.partial-`)) await removeIfThere(join(parent, entry.name));
  }
}

/** Waits until every file and folder below is on the disk, contents before the names for them. */
async function syncTree(folder: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) await syncTree(path);
    else await syncFile(path);
  }
  await syncFolder(folder);
}

/** Waits until a file is on the disk. */
export async function syncFile(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return; // it neither needs nor allows this
  using folder = await Deno.open(path);
  await folder.sync();
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
