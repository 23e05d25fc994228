import { parseObject } from "../../data/text/json.ts";
import { pathIn, type TextFolder } from "../../data/files/text-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** What a checkpoint's `generation_config.json` says beyond its `config.json`. */
export interface GenerationConfig {
  /** `eos_token_id`: ids that end a text. */
  readonly eosIds: readonly number[];
  /** `suppress_tokens`: ids that are never chosen. */
  readonly suppressIds: readonly number[];
}

/** The file that says how a model generates. */
export const GENERATION_CONFIG_FILE = "generation_config.json";

/**
 * Reads `generation_config.json`; a checkpoint need not have one.
 *
 * @throws UserError naming the key that holds no token ids
 */
export async function readGenerationConfig(files: TextFolder): Promise<GenerationConfig> {
  const path = pathIn(files, GENERATION_CONFIG_FILE);
  const json = parseObject(await files.text(GENERATION_CONFIG_FILE) ?? "{}", path);
  const idsOf = (key: string): number[] => {
    const ids = [json[key] ?? []].flat();
    if (ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0)) {
      return ids;
    }
    throw new UserError(`${path}: "${key}" must be a token id or a list of token ids`);
  };
  return { eosIds: idsOf("eos_token_id"), suppressIds: idsOf("suppress_tokens") };
}
