/** Adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`. */
import { pathIn, type TextFolder } from "../../data/files/text-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import {
  type Adaptation,
  linearLayers,
  type ModuleUpdate,
  updateParameters,
} from "../network/adaptation.ts";
import type { ModelConfig } from "../network/config.ts";
import { ADAPTER_CONFIG_FILE, type AdapterConfig, parseAdapterConfig } from "./adapter-config.ts";
import { CONFIG_FILE } from "./checkpoint.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import { SafetensorsFile } from "./safetensors.ts";
import { readWeights } from "./weight-files.ts";

/** The file of an adapter's tensors. */
export const ADAPTER_FILE = "adapter_model.safetensors";

/** What PEFT calls the two matrices of a layer's update. */
const TENSOR_NAME = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/;

/** Whether a folder holds an adapter, and not a model. */
export async function isAdapter(files: TextFolder): Promise<boolean> {
  return await files.text(ADAPTER_CONFIG_FILE) !== undefined &&
    await files.text(CONFIG_FILE) === undefined;
}

/** An open adapter, of this program or of PEFT. */
export class Adapter implements Disposable {
  private constructor(
    /** Its files. */
    readonly files: CheckpointFiles,
    private readonly config: AdapterConfig,
    private readonly file: SafetensorsFile,
  ) {}

  /**
   * Reads what describes an adapter.
   *
   * @throws UserError for a file that is missing, damaged or of another kind of adapter
   */
  static async read(files: CheckpointFiles): Promise<Adapter> {
    const path = pathIn(files, ADAPTER_CONFIG_FILE);
    const text = await files.text(ADAPTER_CONFIG_FILE);
    if (text === undefined) {
      throw new UserError(`${files.dir}: there is no adapter; expected ${ADAPTER_CONFIG_FILE}`);
    }
    const config = parseAdapterConfig(text, path);
    if (await files.size(ADAPTER_FILE) === undefined) {
      throw new UserError(
        `${files.dir}: there is no ${ADAPTER_FILE} (another format, such as adapter_model.bin, must ` +
          `be converted first)`,
      );
    }
    return new Adapter(files, config, await SafetensorsFile.open(files, ADAPTER_FILE));
  }

  /** The folder, or the name on a hub, of the model that it was made for, if it says so. */
  get base(): string | undefined {
    return this.config.base;
  }

  /**
   * Which layers of a model it updates.
   *
   * @throws UserError for tensors that are no update of a linear layer of this model
   */
  adaptationOf(config: ModelConfig): Adaptation {
    const { file } = this;
    const layers = linearLayers(config);
    const modules = new Map<string, ModuleUpdate>();
    for (const name of file.tensors.keys()) {
      const module = TENSOR_NAME.exec(name)?.[1];
      const weight = module === undefined ? undefined : layers.get(module);
      if (module === undefined || weight === undefined) {
        throw new UserError(
          `${file.path}: ${name} is no update of a linear layer of this model` +
            (module === undefined ? "" : `: the model has no linear layer ${module}`),
        );
      }
      if (modules.has(module)) continue;
      const [rank] = file.info(`base_model.model.${module}.lora_A.weight`).shape;
      const update = this.config.update(module, rank);
      for (const { name, shape } of updateParameters(module, weight, update)) {
        const found = file.info(name).shape;
        if (String(found) === String(shape)) continue;
        throw new UserError(`${file.path}: ${name} is [${found}], expected [${shape}]`);
      }
      modules.set(module, update);
    }
    if (modules.size > 0) return { modules, dropout: 0 };
    throw new UserError(`${file.path}: it holds no tensors`);
  }

  /**
   * The values of a parameter, row-major.
   *
   * @throws UserError if the file cannot be read, or if a value is NaN or infinite
   */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return readWeights(this.file, name);
  }

  /** Closes its files. */
  [Symbol.dispose](): void {
    this.files.close?.();
  }
}
