/** Checkpoints in Hugging Face's layout: a configuration, and weights under their published names. */
import { closest } from "fastest-levenshtein";
import { parseObject } from "../../data/text/json.ts";
import { pathIn } from "../../data/files/text-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { type ModelConfig, parseConfig, refuseAbsurdCounts } from "../network/config.ts";
import { parameterShapes } from "../network/parameter-shapes.ts";
import { ADAPTER_CONFIG_FILE } from "./adapter-config.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import type { SafetensorsFile } from "./safetensors.ts";
import type { TensorInfo } from "./safetensors-header.ts";
import { openWeights, readWeights } from "./weight-files.ts";

/** The file that describes the model. */
export const CONFIG_FILE = "config.json";

/** An open checkpoint that holds every tensor which its configuration asks for. */
export class Checkpoint implements Disposable {
  private constructor(
    /** The checkpoint's files. */
    readonly files: CheckpointFiles,
    /** What `config.json` says. */
    readonly config: ModelConfig,
    private readonly weights: readonly SafetensorsFile[],
  ) {}

  /**
   * Reads `config.json`, and the headers of `model.safetensors` or of the files that
   * `model.safetensors.index.json` names.
   *
   * @throws UserError for a file that is missing or damaged, and one error that lists every missing,
   *   extra and misshapen tensor
   */
  static async read(files: CheckpointFiles): Promise<Checkpoint> {
    const text = await files.text(CONFIG_FILE);
    if (text === undefined && await files.text(ADAPTER_CONFIG_FILE) !== undefined) {
      throw new UserError(
        `${files.dir}: this is an adapter, not a model. Fold it into its base model first, by ` +
          `deno task export --merge --model ${files.dir} --output FOLDER, and give FOLDER instead`,
      );
    }
    if (text === undefined) {
      throw new UserError(
        `${files.dir}: there is no checkpoint; expected ${CONFIG_FILE}, or the folder of a ` +
          `training run that has saved one`,
      );
    }
    const path = pathIn(files, CONFIG_FILE);
    const json = parseObject(text, path);
    const weights = await openWeights(files);
    refuseAbsurdCounts(
      json,
      path,
      listedAtMost(weights),
      "its weights hold fewer tensors than that",
    );
    const config = parseConfig(json, path);
    checkTensors(files.dir, config, weights);
    return new Checkpoint(files, config, weights);
  }

  /** The folder that is being read. */
  get dir(): string {
    return this.files.dir;
  }

  /** The files that hold the weights. */
  get weightPaths(): string[] {
    return this.weights.map(({ path }) => path);
  }

  /**
   * The values of a parameter, row-major.
   *
   * @param name its published name, one of {@linkcode parameterShapes}
   * @throws UserError if the file cannot be read, or if a value is NaN or infinite
   */
  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const file = this.weights.find(({ tensors }) => tensors.has(name));
    if (file === undefined) throw new UserError(`${this.dir}: there is no tensor "${name}"`);
    return await readWeights(file, name);
  }

  /** Closes the checkpoint's files. */
  close(): void {
    this.files.close?.();
  }

  /** Closes the checkpoint's files. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** How many layers, or experts of all layers, weights can hold: each has a tensor, or a row of one. */
function listedAtMost(files: readonly SafetensorsFile[]): number {
  return files.flatMap(({ tensors }) => [...tensors.values()])
    .reduce((sum, { shape }) => sum + Math.max(1, shape.length > 2 ? shape[0] : 1), 0);
}

/** Throws one error that lists every difference between the tensors expected and those there. */
function checkTensors(
  dir: string,
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
      `${dir}: the tensors are not those that config.json describes: ${problems.join("; ")}`,
    );
  }
}

/** Buffers that old versions of transformers saved, and the copy of tied embeddings as a head. */
function isIgnored(name: string, config: ModelConfig): boolean {
  return name.endsWith("rotary_emb.inv_freq") ||
    (config.tieWordEmbeddings && name === "lm_head.weight");
}
