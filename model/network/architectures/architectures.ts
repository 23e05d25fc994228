import type { Architecture } from "./architecture.ts";
import { gemma } from "./gemma.ts";
import { llama } from "./llama.ts";
import { minicpm } from "./minicpm.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";
import { olmo } from "./olmo.ts";
import { olmo2 } from "./olmo2.ts";
import { phi } from "./phi.ts";
import { qwen2Moe } from "./qwen2-moe.ts";
import { qwen3 } from "./qwen3.ts";
import { steel } from "./steel.ts";

/** Every family of models that a config can choose. A new one is a file and a line here. */
export const ARCHITECTURES: readonly Architecture[] = [
  steel,
  qwen3,
  llama,
  mistral,
  gemma,
  phi,
  olmo,
  olmo2,
  minicpm,
  mixtral,
  qwen2Moe,
];
