/**
 * Language models: Steel-LLM's and those of other families (Qwen, Llama, Mistral, Gemma, Phi, OLMo,
 * MiniCPM), from their files to logits and text. Here is a tiny model with random weights, written as a checkpoint, loaded and asked:
 *
 * ```ts
 * import {
 *   initialValues, loadModel, openGpu, parameterShapes, parseConfig, qwenTokenizer, writeCheckpoint,
 * } from "@steel/steel-llm/model";
 *
 * // Of Qwen's tokenizer, what this poem needs.
 * const poem = "床前明月光，疑是地上霜。";
 * const qwen = await qwenTokenizer();
 * const tokenizer = qwen.withVocabulary(qwen.prunedVocabulary(qwen.encode(poem), 151_936));
 *
 * // What config.json would hold; FFN_type can choose Steel-LLM's Soft MoE instead of a dense layer.
 * const config = parseConfig({
 *   vocab_size: tokenizer.size, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4,
 *   intermediate_size: 128, max_position_embeddings: 64, FFN_type: "raw",
 * }, "the example's config");
 * const parameters = new Map(parameterShapes(config).map((each, i) => [each.name, { each, i }]));
 * const dir = await Deno.makeTempDir();
 * await writeCheckpoint(dir, {
 *   config,
 *   dtype: "BF16",
 *   tensors: (name) => initialValues(parameters.get(name)!.each, 1, parameters.get(name)!.i),
 *   files: tokenizer.files(),
 * });
 *
 * // Every checkpoint in Hugging Face's layout is loaded like this. Models may share a GPU.
 * const gpu = await openGpu();
 * const model = await loadModel(dir, { gpu });
 *
 * // Text: token by token, or many prompts at once.
 * for await (const { text } of model.generate("床前", { maxTokens: 8, temperature: 0.8, seed: 1 })) {
 *   console.log(text);
 * }
 * const [first, second] = await model.generateMany(["明月", "疑是"], { maxTokens: 8 });
 * console.log(first.text, second.text);
 *
 * // Numbers: ln p of each token after those before it, and which of two tokens is likelier next.
 * const ids = model.tokenizer.encode(poem);
 * const [logProbs] = await model.logProbs([ids.slice(0, -1)], [ids.slice(1)]);
 * const [[moon, frost]] = await model.choiceLogits([ids], model.tokenizer.encode("月霜"));
 * if (!logProbs.every((logProb) => logProb < 0) || moon === frost) throw new Error("no model");
 *
 * model.close();
 * gpu.close();
 * await Deno.remove(dir, { recursive: true });
 * ```
 *
 * On hosts other than Deno, {@linkcode loadCheckpoint} does what `loadModel` does: it takes a
 * {@linkcode Checkpoint} of any {@linkcode CheckpointFiles} and a {@linkcode Gpu}. Errors that the
 * user can fix are thrown as {@linkcode UserError}.
 *
 * @module
 */

export { UserError } from "../kernels/runtime/user-error.ts";

// A GPU. `openGpu` needs Deno, `openAdapter` nothing but WebGPU.
export { type Implementation, openGpu } from "../kernels/host/open-gpu.ts";
export { type Capabilities, Gpu, type GpuHost, openAdapter } from "../kernels/runtime/device.ts";

// Models: logits, log-probabilities and text.
export { loadModel, type LoadOptions } from "./host/load-model.ts";
export { loadCheckpoint } from "./inference/load-checkpoint.ts";
export {
  type ChoiceOptions,
  type GeneratedText,
  type GeneratedToken,
  type GenerateManyOptions,
  type GenerateOptions,
  LanguageModel,
  type ModelParts,
} from "./inference/language-model.ts";
export { Chat, type ChatOptions } from "./inference/chat.ts";
export type { SamplingOptions } from "./inference/sampling.ts";
export type { Precision } from "./network/precision.ts";

// Text to token ids and back.
export { type DecodeOptions, type DecodeStreamOptions, Tokenizer } from "./tokenizer/tokenizer.ts";
export type { DecodeStream } from "./tokenizer/decode-stream.ts";
export { loadTokenizer, qwenTokenizer } from "./host/load-tokenizer.ts";
export type { ChatMessage } from "./tokenizer/chat-template.ts";
export { renderChat } from "./tokenizer/chat-ml.ts";
export { type AnswerChoices, answerChoices } from "./tokenizer/answer-choices.ts";
export { Vocabulary, VOCABULARY_FILE } from "./tokenizer/vocabulary.ts";
export type { Encoder } from "../data/tokenizer/encoder.ts";
export type { EncodedTurn, TurnEncoder } from "../data/instructions/encode.ts";
export type { Conversation, Turn } from "../data/instructions/conversation.ts";
export type { TokenizerFiles } from "../data/tokenizer/tokenizer-files.ts";

// Checkpoints in Hugging Face's layout.
export { Checkpoint } from "./checkpoint/checkpoint.ts";
export { Adapter } from "./checkpoint/adapter.ts";
export type { CheckpointFiles } from "./checkpoint/checkpoint-files.ts";
export type { TextFolder } from "../data/files/text-folder.ts";
export type { GenerationConfig } from "./checkpoint/generation-config.ts";
export type { TensorValues } from "./checkpoint/safetensors-encoder.ts";
export type { FloatDtype } from "./checkpoint/safetensors-header.ts";
export { openCheckpoint } from "./host/open-checkpoint.ts";
export { type CheckpointContents, writeCheckpoint } from "./host/write-checkpoint.ts";
export { exportModel, type ExportOptions } from "./host/export-model.ts";

// What a model is made of: a configuration chooses the definitions of its layers.
export { configToJson, type ModelConfig, parseConfig } from "./network/config.ts";
export { type ConfigKey, ConfigReader } from "./network/config-reader.ts";
export type { NumberRange } from "./number-range.ts";
export type {
  Constant,
  InitialValues,
  Layer,
  Parameter,
  SharedSizes,
  StackedParameters,
  Weights,
} from "./network/layer.ts";
export type { Network } from "./network/architectures/architecture.ts";
export type { BlockWeights, TransformerBlock } from "./network/blocks/transformer-block.ts";
export type { Attend, Attention } from "./network/attention/attention.ts";
export type {
  ExpertRouting,
  FeedForward,
  FeedForwardKind,
} from "./network/feed-forward/feed-forward.ts";
export type { Norm } from "./network/norm/norm.ts";
export type { Batch } from "./network/batch.ts";
export { parameterShapes } from "./network/parameter-shapes.ts";
export { Parameters, type Part, type PartValues } from "./network/parameters.ts";
export {
  type Adaptation,
  linearLayers,
  type ModuleUpdate,
  updateParameters,
} from "./network/adaptation.ts";
export { initialValues } from "./network/initialization.ts";

// What layers are computed with; `@steel/steel-llm/kernels` says more of it.
export type { GradientTarget, Graph, GraphOptions, Tensor } from "../kernels/runtime/graph.ts";
export type { Arena, DType, Storage, View } from "../kernels/runtime/storage.ts";
export type {
  Access,
  Binding,
  Dispatch,
  DispatchOptions,
  Slice,
  Vector,
} from "../kernels/runtime/dispatch.ts";
export type { TokenOrder } from "../kernels/layers/embedding.ts";
export type {
  BalancedExperts,
  ExpertBalance,
} from "../kernels/mixture-of-experts/expert-balance.ts";
export type { SlotMemory } from "../kernels/soft-moe/causal-soft-moe.ts";
export type { LayerUse, RoutingUse } from "../kernels/soft-moe/routing-use.ts";
export type { HeadLayout } from "../kernels/layers/rope.ts";
export type { HeadWeights } from "../kernels/loss/head.ts";
export type { SequenceRows, Sequences, Spans } from "../kernels/layers/sequences.ts";
