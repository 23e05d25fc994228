import { currentFolder } from "../../data/files/atomic-folder.ts";
import { Lock } from "../../data/files/lock.ts";
import { exists } from "../../data/files/exists.ts";
import { formatJson } from "../../data/text/json.ts";
import { pathIn } from "../../data/files/text-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { GENERATION_CONFIG_FILE } from "../checkpoint/generation-config.ts";
import type { FloatDtype } from "../checkpoint/safetensors-header.ts";
import { modelTokenizer } from "../inference/load-checkpoint.ts";
import { configToJson } from "../network/config.ts";
import { Vocabulary, VOCABULARY_FILE } from "../tokenizer/vocabulary.ts";
import { qwenTokenizer } from "./load-tokenizer.ts";
import { folded, type ReadParameter } from "./fold.ts";
import { type OpenModel, openModel } from "./open-model.ts";
import { type CheckpointContents, writeCheckpoint } from "./write-checkpoint.ts";

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

/** How a model is written. */
export interface ExportOptions {
  /** The type of its weights; F32 when left out. */
  readonly dtype?: FloatDtype;
  /** Folder of an adapter for the checkpoint. */
  readonly adapter?: string;
  /** Add the updates of an adapter to the weights; without this, an adapter is refused. */
  readonly merge?: boolean;
}

/**
 * Writes a checkpoint for other programs: in Hugging Face's layout, in the type wanted, and with
 * Qwen's whole tokenizer and ids if training pruned them. Tensors pass one by one; no GPU is used.
 *
 * A pruned model's rows return to their places in Qwen's vocabulary. The tokens it never saw get
 * rows that are never the likeliest, and `suppress_tokens` of `generation_config.json` lists them.
 *
 * @param dir folder of a checkpoint or of an adapter, or of a training run for its newest one
 * @param output a folder that does not exist yet
 * @throws UserError if `output` exists or is being written by another process, the disk is full,
 *   something is wrong with `dir`, or `merge` is set without an adapter or missing with one
 */
export async function exportModel(
  dir: string,
  output: string,
  { dtype = "F32", adapter: adapterDir, merge = false }: ExportOptions = {},
): Promise<void> {
  await using _ = await Lock.beside(output);
  if (await exists(await currentFolder(output))) {
    throw new UserError(`${output}: this exists already; choose another folder or remove it`);
  }
  using model = await openModel(dir, adapterDir);
  requireMerge(model, merge);
  const { checkpoint } = model;
  const text = await checkpoint.files.text(VOCABULARY_FILE);
  const contents = text === undefined ? await storedContents(model) : await unpruned(
    model,
    Vocabulary.fromJson(text, pathIn(checkpoint, VOCABULARY_FILE)),
  );
  await writeCheckpoint(output, { ...contents, dtype });
}

function requireMerge({ checkpoint, adapter }: OpenModel, merge: boolean): void {
  if (merge && !adapter) {
    throw new UserError(`${checkpoint.dir} is a whole model: there is no adapter to fold in`);
  }
  if (adapter && !merge) {
    throw new UserError(
      `${adapter.files.dir} is an adapter, which is in PEFT's format as it is; give --merge to write ` +
        `its base model with the adapter folded in`,
    );
  }
}

/** What an export writes, in whichever type. */
export type ExportedContents = Omit<CheckpointContents, "dtype" | "tensors"> & {
  readonly tensors: ReadParameter;
};

/** A model with its own vocabulary; an adapter is folded in. */
export async function storedContents(model: OpenModel): Promise<ExportedContents> {
  const { files, config } = model.checkpoint;
  const tokenizer = await modelTokenizer(model);
  const generation = await files.text(GENERATION_CONFIG_FILE);
  return {
    config,
    tensors: readerOf(model),
    files: {
      ...tokenizer?.files(),
      ...generation !== undefined && { [GENERATION_CONFIG_FILE]: generation },
    },
  };
}

function readerOf({ checkpoint, adapter }: OpenModel): ReadParameter {
  return adapter ? folded(checkpoint, adapter) : (name) => checkpoint.readFloat32(name);
}

async function unpruned(model: OpenModel, vocabulary: Vocabulary): Promise<ExportedContents> {
  const read = readerOf(model);
  const { dir, config } = model.checkpoint;
  const [pruned, qwen] = await Promise.all([modelTokenizer(model), qwenTokenizer()]);
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
      const values = await read(name);
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
