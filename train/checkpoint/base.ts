import { basename, join } from "node:path";
import { type FileSum, fileSum, isSameSum, sumInWords } from "../../data/files/checksum.ts";
import { isFolder } from "../../data/files/exists.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Checkpoint } from "../../model/checkpoint/checkpoint.ts";
import { GENERATION_CONFIG_FILE } from "../../model/checkpoint/generation-config.ts";
import { readChecksums } from "../../model/host/checksums.ts";
import { loadTokenizer } from "../../model/host/load-tokenizer.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { checkpointsOf } from "../../model/host/run-folder.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { VOCABULARY_FILE } from "../../model/tokenizer/vocabulary.ts";
import { readRunSettings } from "../settings/run-settings.ts";
import { type BegunRun, STATE_FILE } from "./training-checkpoint.ts";

/** The checkpoint that training starts from. */
export interface Base extends Disposable {
  /** The checkpoint's folder, as settings name it. */
  readonly path: string;
  readonly checkpoint: Checkpoint;
  /** The sum of each file of its weights, by name. */
  readonly weights: Readonly<Record<string, FileSum>>;
  /** The checkpoint's tokenizer. */
  readonly tokenizer: Tokenizer;
}

/** The settings that choose it. */
export interface BaseSettings {
  /** `model.path`. */
  readonly path: string;
  /** Folder of the run that starts from it. */
  readonly runDir: string;
  /** The most tokens of a sequence, and the setting that says so. */
  readonly longest: { readonly name: string; readonly tokens: number };
}

/**
 * Opens the checkpoint that `model.path` names: the folder itself, or the newest checkpoint of a
 * run's folder. A run that continues keeps the checkpoint that it started from, even if that folder
 * has newer ones now.
 *
 * @param begun what `findRun` found in the folder of the run
 * @param command the command that makes a checkpoint, named in the error if there is none
 * @throws UserError if there is no checkpoint, or it does not fit the settings
 */
export async function openBase(
  settings: BaseSettings,
  begun: BegunRun | undefined,
  command: string,
): Promise<Base> {
  const path = await folderOf(settings, begun, command);
  const checkpoint = await openCheckpoint(path);
  try {
    const tokenizer = await tokenizerOf(checkpoint, settings.longest);
    const weights = await sumsOfWeights(checkpoint);
    return { path, checkpoint, weights, tokenizer, [Symbol.dispose]: () => checkpoint.close() };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

/**
 * Refuses a base whose weights are not those that a run was started from: DPO's reference, and what is
 * under an adapter, would be another. Checkpoints of earlier versions do not tell.
 *
 * @throws UserError naming the first file that differs
 */
export function requireSameBase({ path, weights }: Base, begun: BegunRun | undefined): void {
  const before = begun?.state.base;
  if (before === undefined) return;
  const inWords = (sum?: FileSum) => sum === undefined ? "missing" : sumInWords(sum);
  for (const name of new Set([...Object.keys(before), ...Object.keys(weights)])) {
    const [was, is] = [before[name], weights[name]];
    if (was && is && isSameSum(was, is)) continue;
    throw new UserError(
      `${join(path, name)}: of the weights in model.path this is ${inWords(is)}, but was ` +
        `${inWords(was)} when the run was started ("base" in ` +
        `${join(begun!.checkpoint, STATE_FILE)}). Put the weights back as they were, or start ` +
        `another run with --run.dir.`,
    );
  }
}

/** The tokenizer's files, what its vocabulary was pruned to where it was, and how texts end. */
export async function filesToKeep(
  { checkpoint, tokenizer }: Base,
): Promise<Record<string, string>> {
  const files = tokenizer.files();
  for (const name of [VOCABULARY_FILE, GENERATION_CONFIG_FILE]) {
    const text = await checkpoint.files.text(name);
    if (text !== undefined) files[name] = text;
  }
  return files;
}

async function folderOf(
  { path, runDir }: BaseSettings,
  begun: BegunRun | undefined,
  command: string,
): Promise<string> {
  const checkpoints = await checkpointsOf(path);
  const before = begun && (await readRunSettings(runDir)).model?.path;
  const checkpoint = checkpoints.find((each) => each === before) ?? checkpoints.at(-1);
  if (checkpoint !== undefined) return checkpoint;
  if (await isFolder(path)) return path;
  throw new UserError(
    `model.path: there is no checkpoint at ${path}; run ${command} first, or give the folder of ` +
      `another checkpoint`,
  );
}

/** As the checkpoint's own checksums tell, which are compared when the weights are read. */
async function sumsOfWeights(
  { dir, weightPaths }: Checkpoint,
): Promise<Record<string, FileSum>> {
  const listed = await readChecksums(dir);
  const sums = weightPaths.map(async (path) => {
    const name = basename(path);
    return [name, listed?.[name] ?? await fileSum(path)] as const;
  });
  return Object.fromEntries(await Promise.all(sums));
}

/** The tokenizer, if the model knows all its tokens and takes sequences as long as that. */
async function tokenizerOf(
  { dir, config: { vocabSize, maxPositions } }: Checkpoint,
  { name, tokens }: BaseSettings["longest"],
): Promise<Tokenizer> {
  if (tokens > maxPositions) {
    throw new UserError(
      `${name} is ${tokens}, but the model takes at most ${maxPositions} tokens ` +
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
