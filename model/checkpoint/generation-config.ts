import { join } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { parseObject } from "../../data/files/json.ts";
import { readIfThere } from "../../data/files/text-file.ts";

/** What a checkpoint's `generation_config.json` says beyond its `config.json`. */
export interface GenerationConfig {
  /** `eos_token_id`: ids that end a text. */
  readonly eosIds: readonly number[];
  /** `suppress_tokens`: ids that are never chosen. */
  readonly suppressIds: readonly number[];
}

export const GENERATION_CONFIG_FILE = "generation_config.json";

/**
 * Reads `generation_config.json`; a folder need not have one.
 *
 * @throws UserError naming the key that holds no token ids
 */
export async function readGenerationConfig(folder: string): Promise<GenerationConfig> {
  const path = join(folder, GENERATION_CONFIG_FILE);
  const json = parseObject(await readIfThere(path) ?? "{}", path);
  const idsOf = (key: string): number[] => {
    const ids = [json[key] ?? []].flat();
    if (ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0)) {
      return ids;
    }
    throw new UserError(`${path}: "${key}" must be a token id or a list of token ids`);
  };
  return { eosIds: idsOf("eos_token_id"), suppressIds: idsOf("suppress_tokens") };
}
