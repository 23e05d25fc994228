/** Checkpoints: folders in Hugging Face's layout, with weights under their published names. */
import { closest } from "fastest-levenshtein";
import { join } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { currentFolder, writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import { configToJson, type ModelConfig, parseConfig } from "../network/config.ts";
import { exists } from "../../data/files/exists.ts";
import { formatJson } from "../../data/files/json.ts";
import { readJson } from "../../data/files/json-file.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { parameterShapes } from "../network/parameter-shapes.ts";
import { newestCheckpoint } from "../host/run-folder.ts";
import type { FloatDtype, SafetensorsFile, TensorInfo } from "./safetensors.ts";
import { openWeights, writeWeights } from "./weight-files.ts";

const TORCH_DTYPES: Record<FloatDtype, string> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** An open checkpoint, known to hold every tensor that its configuration asks for. */
export class Checkpoint implements Disposable {
  constructor(
    /** The folder that is being read. */
    readonly dir: string,
    readonly config: ModelConfig,
    private readonly files: readonly SafetensorsFile[],
  ) {}

  /** The values of a parameter, row-major; see `parameterShapes` for the names. */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const file = this.files.find((file) => file.tensors.has(name));
    if (file === undefined) throw new UserError(`${this.dir}: there is no tensor "${name}"`);
    return file.readFloat32(name);
  }

  close(): void {
    for (const file of this.files) file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a folder with `config.json` and `model.safetensors`, or the shards that
 * `model.safetensors.index.json` names; of a training run's folder, the newest checkpoint.
 *
 * @throws UserError for a file that is missing or damaged, and one error that lists every missing,
 *   extra and misshapen tensor
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  const folder = await currentFolder(await newestCheckpoint(dir) ?? dir);
  const configPath = join(folder, "config.json");
  if (!await exists(configPath)) {
    throw new UserError(
      `${folder}: there is no checkpoint; expected config.json, or the folder of a training run ` +
        `that has saved one`,
    );
  }
  const config = parseConfig(await readJson(configPath), configPath);
  const files = await openWeights(folder);
  const checkpoint = new Checkpoint(folder, config, files);
  try {
    checkTensors(folder, config, files);
    return checkpoint;
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

export interface CheckpointContents {
  config: ModelConfig;
  /** The type that every weight is written in. */
  dtype: FloatDtype;
  /** Gives a parameter's values, row-major, by its published name. */
  tensors: (name: string) => Float32Array | Promise<Float32Array>;
  /** Further files by name, such as the tokenizer's; they win over the ones written here. */
  files?: Record<string, string>;
  /** More bytes of weights than this are spread over several files. */
  maxShardBytes?: number;
}

/**
 * Writes a checkpoint that Hugging Face's tools read; killed at any moment, it leaves the one that
 * was there before or the new one.
 *
 * @throws UserError when the disk is full
 */
export function writeCheckpoint(dir: string, contents: CheckpointContents): Promise<void> {
  return writeFolderAtomically(dir, (aside) => writeCheckpointFiles(aside, contents));
}

/** Writes a checkpoint's files into a folder that is there, for callers that add files of their own. */
export async function writeCheckpointFiles(
  folder: string,
  { config, dtype, tensors, files = {}, maxShardBytes = 5e9 }: CheckpointContents,
): Promise<void> {
  const entries = parameterShapes(config).map((parameter) => ({ ...parameter, dtype }));
  await writeWeights(folder, entries, tensors, maxShardBytes);
  for (const [name, text] of Object.entries({ ...configFiles(config, dtype), ...files })) {
    await WholeFile.write(join(folder, name), text);
  }
}

function configFiles(config: ModelConfig, dtype: FloatDtype): Record<string, string> {
  const json = configToJson(config);
  // Newer versions of transformers write "dtype" for what all of them read as "torch_dtype".
  json["dtype" in json ? "dtype" : "torch_dtype"] = TORCH_DTYPES[dtype];
  const { bos_token_id, eos_token_id } = json;
  return {
    "config.json": formatJson(json),
    "generation_config.json": formatJson({ bos_token_id, eos_token_id }),
  };
}

/** Throws one error that lists every difference between the tensors expected and those there. */
function checkTensors(
  folder: string,
  config: ModelConfig,
  files: readonly SafetensorsFile[],
): void {
  const found = new Map<string, TensorInfo>(files.flatMap((file) => [...file.tensors]));
  const expected = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  const problems: string[] = missing.map((name) => `${name} [${expected.get(name)}] is missing`);
  for (const [name, { shape }] of found) {
    const wanted = expected.get(name);
    if (wanted === undefined && !isIgnored(name, config)) {
      const hint = missing.length > 0 ? ` (most like ${closest(name, missing)})` : "";
      problems.push(`${name} is not one of the model's${hint}`);
    } else if (wanted !== undefined && String(wanted) !== String(shape)) {
      problems.push(`${name} is [${shape}], expected [${wanted}]`);
    }
  }
  if (problems.length > 0) {
    throw new UserError(
      `${folder}: the tensors are not those that config.json describes: ${problems.join("; ")}`,
    );
  }
}

/** Buffers that old versions of transformers saved, and the copy of tied embeddings as a head. */
function isIgnored(name: string, config: ModelConfig): boolean {
  return name.endsWith("rotary_emb.inv_freq") ||
    (config.tieWordEmbeddings && name === "lm_head.weight");
}
