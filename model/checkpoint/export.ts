import { join } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { currentFolder } from "../../data/files/atomic-folder.ts";
import { type Checkpoint, openCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { configToJson, type ModelConfig } from "../network/config.ts";
import { exists } from "../../data/files/exists.ts";
import { GENERATION_CONFIG_FILE } from "./generation-config.ts";
import { formatJson } from "../../data/files/json.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import type { FloatDtype } from "./safetensors.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { Vocabulary, VOCABULARY_FILE } from "../tokenizer/vocabulary.ts";

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

/**
 * Writes a checkpoint as others read it: in Hugging Face's layout, in the type wanted, and with
 * Qwen's whole tokenizer and ids where training pruned them. Tensors pass one by one, no GPU is
 * used.
 *
 * A pruned model's rows return to their places in Qwen's vocabulary. The tokens it never saw get
 * rows that are never the likeliest, and `suppress_tokens` of `generation_config.json` lists them.
 *
 * @param dir a checkpoint's folder
 * @param output a folder that is not there yet
 * @throws UserError when `output` exists, the disk is full or something is wrong with `dir`
 */
export async function exportModel(
  dir: string,
  output: string,
  dtype: FloatDtype = "F32",
): Promise<void> {
  if (await exists(await currentFolder(output))) {
    throw new UserError(`${output}: this exists already; choose another folder or remove it`);
  }
  using checkpoint = await openCheckpoint(dir);
  const text = await readIfThere(join(checkpoint.dir, VOCABULARY_FILE));
  const contents = text === undefined
    ? await asItIs(checkpoint)
    : await unpruned(checkpoint, Vocabulary.fromJson(text, join(checkpoint.dir, VOCABULARY_FILE)));
  await writeCheckpoint(output, { ...contents, dtype });
}

interface Contents {
  config: ModelConfig;
  tensors: (name: string) => Promise<Float32Array>;
  files: Record<string, string>;
}

async function asItIs(checkpoint: Checkpoint): Promise<Contents> {
  const { dir, config } = checkpoint;
  const hasTokenizer = await exists(join(dir, "tokenizer.json")) ||
    await exists(join(dir, "vocab.json"));
  const files = hasTokenizer ? (await Tokenizer.fromFolder(dir)).files() : {};
  const generation = await readIfThere(join(dir, GENERATION_CONFIG_FILE));
  return {
    config,
    tensors: (name) => checkpoint.readFloat32(name),
    files: { ...files, ...generation !== undefined && { [GENERATION_CONFIG_FILE]: generation } },
  };
}

async function unpruned(checkpoint: Checkpoint, vocabulary: Vocabulary): Promise<Contents> {
  const { dir, config } = checkpoint;
  const [pruned, qwen] = await Promise.all([Tokenizer.fromFolder(dir), Tokenizer.qwen()]);
  if (
    qwen.withVocabulary(vocabulary).files()["tokenizer.json"] !== pruned.files()["tokenizer.json"]
  ) {
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
