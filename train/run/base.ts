import { isFolder } from "../../data/files/exists.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Checkpoint } from "../../model/checkpoint/checkpoint.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { checkpointsOf } from "../../model/host/run-folder.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import type { FineTuningSettings } from "../settings/fine-tuning-settings.ts";
import { runOnGpu } from "./run-on-gpu.ts";
import { keptSettings } from "../settings/run-settings.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { loadTokenizer } from "../../model/host/load-tokenizer.ts";

/** What fine-tuning starts from. */
export interface Base {
  readonly checkpoint: Checkpoint;
  /** The checkpoint's own. */
  readonly tokenizer: Tokenizer;
}

/**
 * Opens what `model.path` means, and then the device of a run from there.
 *
 * @param command what makes a checkpoint, to be named where there is none
 * @param run is given the settings with the folder of one checkpoint as `model.path`
 * @throws UserError if there is none, or none that these settings can be used with
 */
export async function runFromBase<S extends FineTuningSettings>(
  settings: S,
  command: string,
  run: (gpu: Gpu, settings: S, base: Base) => Promise<LanguageModel | undefined>,
): Promise<LanguageModel | undefined> {
  const path = await checkpointOf(settings, command);
  using checkpoint = await openCheckpoint(path);
  const tokenizer = await tokenizerOf(checkpoint, settings.data.cutoff);
  return await runOnGpu(
    { ...settings, model: { path } },
    (gpu, settings) => run(gpu, settings, { checkpoint, tokenizer }),
  );
}

/**
 * The folder of the checkpoint that `model.path` means: the folder itself, or of a run's folder the
 * newest. A run that goes on keeps the one it began with, as that folder may have gained others since.
 */
async function checkpointOf(
  { model: { path }, run }: FineTuningSettings,
  command: string,
): Promise<string> {
  const checkpoints = await checkpointsOf(path);
  const before = (await keptSettings(run.dir))?.model?.path;
  const checkpoint = checkpoints.find((each) => each === before) ?? checkpoints.at(-1);
  if (checkpoint !== undefined) return checkpoint;
  if (await isFolder(path)) return path;
  throw new UserError(
    `model.path: there is no checkpoint at ${path}; run ${command} first, or give the folder of ` +
      `another checkpoint`,
  );
}

/** The tokenizer, if the model knows all its tokens and takes as many at once as are asked for. */
async function tokenizerOf(
  { dir, config: { vocabSize, maxPositions } }: Checkpoint,
  cutoff: number,
): Promise<Tokenizer> {
  if (cutoff > maxPositions) {
    throw new UserError(
      `data.cutoff is ${cutoff}, but the model takes at most ${maxPositions} tokens ` +
        `(max_position_embeddings)`,
    );
  }
  const tokenizer = await loadTokenizer(dir);
  if (tokenizer.size <= vocabSize) return tokenizer;
  throw new UserError(
    `${dir}: its tokenizer has ${tokenizer.size} tokens, but its model knows ${vocabSize} ` +
      `(vocab_size): put the tokenizer there that the model was trained with`,
  );
}
