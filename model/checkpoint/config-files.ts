import { formatJson } from "../../data/text/json.ts";
import { configToJson, type ModelConfig } from "../network/config.ts";
import { CONFIG_FILE } from "./checkpoint.ts";
import { GENERATION_CONFIG_FILE } from "./generation-config.ts";
import type { FloatDtype } from "./safetensors-header.ts";

const TORCH_DTYPES: Record<FloatDtype, string> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** The files that describe a checkpoint, by name, as transformers reads them. */
export function configFiles(config: ModelConfig, dtype: FloatDtype): Record<string, string> {
  const json = configToJson(config);
  // Newer versions of transformers write "dtype" for what all of them read as "torch_dtype".
  json["dtype" in json ? "dtype" : "torch_dtype"] = TORCH_DTYPES[dtype];
  const { bos_token_id, eos_token_id } = json;
  return {
    [CONFIG_FILE]: formatJson(json),
    [GENERATION_CONFIG_FILE]: formatJson({ bos_token_id, eos_token_id }),
  };
}
