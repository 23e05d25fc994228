import { basename, dirname } from "node:path";
import { isFolder } from "../../data/files/exists.ts";
import { hasShards, type Manifest, readManifest } from "../../data/shards/manifest.ts";
import { ShardBlocks, type ShardPosition } from "../../data/shards/shard-blocks.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { roundUp } from "../../model/inference/plan-sizes.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";
import {
  evenlySpaced,
  type OwnVocabulary,
  type PretrainingText,
  QWEN_VOCABULARY_SIZE,
} from "./pretraining-text.ts";
import { loadTokenizer, qwenTokenizer } from "../../model/host/load-tokenizer.ts";

/**
 * Whether `data.source` names folders of shards, and not files or folders of text.
 *
 * @throws UserError if it names both
 */
export async function namesShards(source: readonly string[]): Promise<boolean> {
  const areShards = await Promise.all(
    source.map(async (path) => await isFolder(path) && await hasShards(path)),
  );
  if (areShards.every((are) => are === areShards[0])) return areShards[0];
  throw new UserError(
    `data.source: ${source[areShards.indexOf(true)]} is a folder of shards and ` +
      `${source[areShards.indexOf(false)]} is not: give folders of shards alone, or text alone`,
  );
}

/**
 * Opens the shards of a run: those of `data.source`, those that were appended before, and those of
 * `data.append`, which are appended now.
 *
 * @param position where the run continues; undefined for a new run
 * @param own of a checkpoint that is trained further; that of the shards when left out
 * @param say called with a line of text for each folder that is appended
 * @throws UserError for shards that have changed, that the run has already, or of another tokenizer,
 *   and for a share of held-out blocks above one half
 */
export async function shardText(
  { data, train }: PretrainSettings,
  position: unknown,
  own: OwnVocabulary | undefined,
  say: (text: string) => void,
): Promise<PretrainingText> {
  if (data.heldOut > 0.5) {
    throw new UserError(
      `data.heldOut is ${data.heldOut}, but of shards at most every second block can be held out: ` +
        `give at most 0.5`,
    );
  }
  const saved = position as ShardPosition | undefined;
  const dirs = [...data.source, ...(saved?.appended ?? []).map(({ dir }) => dir)];
  const manifests = await Promise.all([...dirs, ...data.append].map(readManifest));
  if (!own) requireWholeVocabulary(data.vocabulary, manifests[0]);
  const ofShards = await vocabularyOf(manifests[0], dirs[0]);
  if (own) requireSameTokens(ofShards.tokenizer, own.tokenizer, dirs[0]);
  const vocabulary = own ?? ofShards;
  const blocks = await ShardBlocks.open({
    dirs,
    blockLength: data.sequence + 1,
    seed: data.seed,
    heldOutEvery: Math.round(1 / data.heldOut),
  });
  try {
    if (saved) blocks.seek(saved);
    for (const dir of data.append) say(await append(blocks, dir));
    const validation = validationBlocks(blocks, data.heldOut, train.validationBlocks);
    requireKnownTokens(validation, vocabulary.vocabularySize, manifests[0]);
    return {
      ...vocabulary,
      blocks,
      tokens: blocks.length * blocks.blockLength,
      tokensBySource: sumOfSources(manifests),
      validation,
      padding: blocks.paddingToken,
      [Symbol.dispose]: () => blocks.close(),
    };
  } catch (error) {
    blocks.close();
    throw error;
  }
}

/** Adds the shards of a folder. Returns a line of text that says so. */
async function append(blocks: ShardBlocks, dir: string): Promise<string> {
  const { epoch, index, blocks: before } = blocks.position();
  const added = await blocks.append(dir);
  return `Appended ${dir}: ${added} blocks, mixed with the ${before - index} of ${before} that ` +
    `epoch ${epoch + 1} has not seen yet.`;
}

/** Without some tokens, their text would become several others: blocks would change their length. */
function requireWholeVocabulary(vocabulary: number, { tokenizer }: Manifest): void {
  if (vocabulary === 0) return;
  throw new UserError(
    `data.vocabulary is ${vocabulary}, but shards keep the ids of their tokenizer, ${tokenizer}: ` +
      `give --data.vocabulary=0, or tokenize the text again with a smaller tokenizer.json`,
  );
}

/** The tokenizer that the manifest names: Qwen1.5's, a `tokenizer.json` or a model's folder. */
async function vocabularyOf(manifest: Manifest, dir: string) {
  const { tokenizer: name, endToken, paddingToken } = manifest;
  const isQwen = name === "Qwen1.5";
  const isOfFolder = !isQwen && await isFolder(name);
  if (!isQwen && !isOfFolder && basename(name) !== "tokenizer.json") {
    throw new UserError(
      `${dir} was made with the tokenizer ${name}; expected Qwen1.5, a file tokenizer.json or a ` +
        `model's folder`,
    );
  }
  const tokenizer = isQwen
    ? await qwenTokenizer()
    : await loadTokenizer(isOfFolder ? name : dirname(name));
  if (tokenizer.endOfDocument !== endToken || tokenizer.padding !== paddingToken) {
    throw new UserError(
      `${dir}: its documents end with token ${endToken} and padding is ${paddingToken}, but in the ` +
        `tokenizer ${name} these are ${tokenizer.endOfDocument} and ${tokenizer.padding}: it is not the ` +
        `one that made the shards; tokenize the text again`,
    );
  }
  const vocabularySize = isQwen ? QWEN_VOCABULARY_SIZE : roundUp(tokenizer.size, 64);
  return { tokenizer, vocabularySize, files: tokenizer.files() };
}

/** Ids that stand for other tokens would be another text. */
function requireSameTokens(ofShards: Tokenizer, own: Tokenizer, dir: string): void {
  const isSame = ofShards.size === own.size && ofShards.endOfDocument === own.endOfDocument &&
    Array.from({ length: own.size }, (_, id) => id)
      .every((id) => ofShards.decode([id]) === own.decode([id]));
  if (isSame) return;
  throw new UserError(
    `${dir} was made with another tokenizer than that of the checkpoint in model.path: tokenize the ` +
      `text again with --tokenizer and the checkpoint's folder`,
  );
}

/** `count` of the held-out blocks at even distances, so that every shard has its share; all for 0. */
function validationBlocks(blocks: ShardBlocks, share: number, count: number): Int32Array[] {
  const indices = Array.from({ length: blocks.heldOutLength }, (_, index) => index);
  const validation = evenlySpaced(indices, count).map((index) => blocks.heldOut(index));
  const withText = validation.filter((block) =>
    block.subarray(1).some((token) => token !== blocks.paddingToken)
  );
  if (withText.length > 0) return withText;
  throw new UserError(
    `no block is held out for validation: data.heldOut is ${share}, and there are ` +
      `${blocks.length} blocks; raise data.heldOut, or add text`,
  );
}

/** Checks the held-out blocks alone: reading a terabyte would take too long. */
function requireKnownTokens(
  validation: readonly Int32Array[],
  vocabularySize: number,
  { tokenizer }: Manifest,
): void {
  for (const block of validation) {
    const unknown = block.find((token) => token < 0 || token >= vocabularySize);
    if (unknown === undefined) continue;
    throw new UserError(
      `the shards hold the token ${unknown}, but the tokenizer that their manifest names, ` +
        `${tokenizer}, has no more than ${vocabularySize}: tokenize the text again`,
    );
  }
}

function sumOfSources(manifests: readonly Manifest[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { sources } of manifests) {
    for (const [source, { tokens }] of Object.entries(sources)) {
      sum[source] = (sum[source] ?? 0) + tokens;
    }
  }
  return sum;
}
