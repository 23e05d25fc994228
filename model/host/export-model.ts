import { currentFolder } from "../../data/files/atomic-folder.ts";
import { Lock } from "../../data/files/lock.ts";
import { exists } from "../../data/files/exists.ts";
import { formatJson } from "../../data/text/json.ts";
import { pathIn } from "../../data/files/text-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { GENERATION_CONFIG_FILE } from "../checkpoint/generation-config.ts";
import type { FloatDtype } from "../checkpoint/safetensors-header.ts";
import { configToJson } from "../network/config.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { Vocabulary, VOCABULARY_FILE } from "../tokenizer/vocabulary.ts";
import { qwenTokenizer } from "./load-tokenizer.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { type CheckpointContents, writeCheckpoint } from "./write-checkpoint.ts";

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

/**
 * Writes a checkpoint for other programs: in Hugging Face's layout, in the type wanted, and with
 * Qwen's whole tokenizer and ids if training pruned them. Tensors pass one by one; no GPU is used.
 *
 * A pruned model's rows return to their places in Qwen's vocabulary. The tokens it never saw get
 * rows that are never the likeliest, and `suppress_tokens` of `generation_config.json` lists them.
 *
 * @param dir folder of a checkpoint, or of a training run for its newest one
 * @param output a folder that does not exist yet
 * @throws UserError if `output` exists or is being written by another process, the disk is full or something is wrong with `dir`
 */
export async function exportModel(
  dir: string,
  output: string,
  dtype: FloatDtype = "F32",
): Promise<void> {
  await using _ = await Lock.beside(output);
  if (await exists(await currentFolder(output))) {
    throw new UserError(`${output}: this exists already; choose another folder or remove it`);
  }
  using checkpoint = await openCheckpoint(dir);
  const text = await checkpoint.files.text(VOCABULARY_FILE);
  const contents = text === undefined
    ? await asItIs(checkpoint)
    : await unpruned(checkpoint, Vocabulary.fromJson(text, pathIn(checkpoint, VOCABULARY_FILE)));
  await writeCheckpoint(output, { ...contents, dtype });
}

type Contents = Omit<CheckpointContents, "dtype">;

async function asItIs(checkpoint: Checkpoint): Promise<Contents> {
  const { files, config } = checkpoint;
  const tokenizer = await Tokenizer.read(files);
  const generation = await files.text(GENERATION_CONFIG_FILE);
  return {
    config,
    tensors: (name) => checkpoint.readFloat32(name),
    files: {
      ...tokenizer?.files(),
      ...generation !== undefined && { [GENERATION_CONFIG_FILE]: generation },
    },
  };
}

async function unpruned(checkpoint: Checkpoint, vocabulary: Vocabulary): Promise<Contents> {
  const { files, dir, config } = checkpoint;
  const [pruned, qwen] = await Promise.all([Tokenizer.read(files), qwenTokenizer()]);
  const expected = qwen.withVocabulary(vocabulary).files()["tokenizer.json"];
  if (pruned?.files()["tokenizer.json"] !== expected) {
    throw new UserError(
      `${dir}: its tokenizer.json is not what ${VOCABULARY_FILE} leaves of Qwen1.5's tokenizer, ` +
        `so it cannot be told which tokens the model's rows stand for`,
    );
  }
  const full = {
    ...config,
    vocabSize: vocabulary.fullSize,
    bosId: config.bosId === undefined ? undefined : vocabulary.toFull([config.bosId])[0],
    eosIds: vocabulary.toFull(config.eosIds),
  };
  const { bos_token_id, eos_token_id } = configToJson(full);
  const width = config.hiddenSize;
  return {
    config: full,
    tensors: async (name) => {
      const values = await checkpoint.readFloat32(name);
      if (name !== EMBEDDING && name !== HEAD) return values;
      // Training adds rows that stand for no token, to fill whole vectors.
      const rows = values.subarray(0, vocabulary.size * width);
      return name === EMBEDDING && !config.tieWordEmbeddings
        ? vocabulary.expandEmbedding(rows, width)
        : vocabulary.expandHead(rows, width, pruned.impossibleIds);
    },
    files: {
      ...qwen.files(),
      [GENERATION_CONFIG_FILE]: formatJson({
        bos_token_id,
        eos_token_id,
        suppress_tokens: vocabulary.prunedIds(),
      }),
    },
  };
}
