import { isAbsolute, join } from "node:path";
import { isFolder } from "../../data/files/exists.ts";
import { pathIn } from "../../data/files/text-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { ADAPTER_CONFIG_FILE } from "../checkpoint/adapter-config.ts";
import { Adapter, isAdapter } from "../checkpoint/adapter.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { type DiskFolder, openFolder } from "./disk-folder.ts";
import { openCheckpoint } from "./open-checkpoint.ts";

/** A model on this machine's disk: a checkpoint, and the adapter that changes it, if there is one. */
export interface OpenModel extends Disposable {
  readonly checkpoint: Checkpoint;
  readonly adapter?: Adapter;
}

/**
 * Opens a model. An adapter names the checkpoint that it was made for; another may be given.
 *
 * @param dir folder of a checkpoint or of an adapter, or of a training run for its newest one
 * @param adapterDir folder of an adapter for the checkpoint in `dir`
 * @throws UserError for a file that is missing or damaged, or if the adapter's checkpoint is not found
 */
export async function openModel(dir: string, adapterDir?: string): Promise<OpenModel> {
  using unfinished = new DisposableStack();
  const folder = unfinished.use(await openFolder(adapterDir ?? dir));
  if (adapterDir === undefined && !await isAdapter(folder)) {
    return await openCheckpoint(dir).then(withoutAdapter);
  }
  const adapter = await Adapter.read(folder);
  const base = adapterDir === undefined ? await baseOf(adapter, folder) : dir;
  const checkpoint = unfinished.use(await openCheckpoint(base));
  adapter.adaptationOf(checkpoint.config);
  const opened = unfinished.move();
  return { checkpoint, adapter, [Symbol.dispose]: () => opened.dispose() };
}

function withoutAdapter(checkpoint: Checkpoint): OpenModel {
  return { checkpoint, [Symbol.dispose]: () => checkpoint.close() };
}

/** The folder of an adapter's checkpoint, as it names it: from here, or from its own folder. */
async function baseOf({ base }: Adapter, folder: DiskFolder): Promise<string> {
  const places = base === undefined
    ? []
    : isAbsolute(base)
    ? [base]
    : [base, join(folder.dir, base)];
  for (const place of places) if (await isFolder(place)) return place;
  const named = base === undefined
    ? "it does not name the model that it was made for"
    : `it was made for the model ${base}, of which there is no folder here`;
  throw new UserError(
    `${
      pathIn(folder, ADAPTER_CONFIG_FILE)
    }: ${named}. Give the model's folder and the adapter's: ` +
      `--model DIR --adapter ${folder.dir}`,
  );
}
