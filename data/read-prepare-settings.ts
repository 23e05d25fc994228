import { dirname, isAbsolute, join } from "node:path";
import { UserError } from "../kernels/runtime/user-error.ts";
import { isRecord } from "./files/is-record.ts";
import { filesOf } from "./files/input-files.ts";
import { fileText } from "./files/text-file.ts";
import { parseYaml } from "./text/yaml.ts";
import type { PerplexitySettings } from "./perplexity/fit-recipe.ts";
import type { PrepareSettings, PrepareSource } from "./prepare-settings.ts";
import { readRecipe, type Recipe, recipePath } from "./recipe.ts";
import { messageOf } from "./text/error-message.ts";
import { checkWeights } from "./tokenizing/mixture.ts";
import { shardShape } from "./tokenize.ts";

/** The settings that a settings file holds. */
export type PrepareFile = Pick<
  PrepareSettings,
  "sources" | "sequence" | "format" | "blocksPerShard" | "tokenizer"
>;

const FILE_KEYS = ["sources", "sequence", "format", "blocksPerShard", "tokenizer"];
const SOURCE_KEYS = ["name", "files", "corpus", "asPublished", "recipe", "perplexity", "weight"];
const PERPLEXITY_KEYS = ["arpa", "sentencePiece", "reference", "percentile"];

/** The folders that the paths of a settings file depend on. */
interface Places {
  /** The settings file's folder. */
  folder: string;
  /** The folder for the shards. */
  output?: string;
}

/** A section of YAML: its keys and values, and functions that read them. */
class Section {
  constructor(
    readonly values: Record<string, unknown>,
    /** Where the section is, for messages. */
    readonly place: string,
    readonly places: Places,
  ) {}

  /** A section. @throws UserError unless `values` has keys and values, and only known keys */
  static of(values: unknown, known: string[], place: string, places: Places): Section {
    if (!isRecord(values)) {
      throw new UserError(`${place}: expected keys and values (${known.join(", ")})`);
    }
    const unknown = Object.keys(values).find((key) => !known.includes(key));
    if (unknown !== undefined) {
      throw new UserError(`${place}: there is no key "${unknown}"; there are ${known.join(", ")}`);
    }
    return new Section(values, place, places);
  }

  /** The value of a key; undefined if it has none. @throws UserError unless it is as `expected` */
  value<T>(key: string, is: (value: unknown) => value is T, expected: string): T | undefined {
    const value = this.values[key] ?? undefined;
    if (value === undefined || is(value)) return value;
    throw new UserError(`${this.place}: "${key}" must be ${expected}`);
  }

  count(key: string): number | undefined {
    const is = (value: unknown): value is number =>
      Number.isSafeInteger(value) && Number(value) > 0;
    return this.value(key, is, "a whole number of at least 1");
  }

  text(key: string): string | undefined {
    return this.value(key, isText, "text");
  }

  /** The path of a key, relative to the settings file. */
  path(key: string): string | undefined {
    const path = this.text(key);
    return path && this.#resolve(path);
  }

  /** The files of a key, which may name folders; undefined if the key is missing or empty. */
  async files(key: string): Promise<string[] | undefined> {
    const paths = this.value(key, isTextOrTexts, "a file or folder, or a list of them");
    if (paths === undefined || paths.length === 0) return undefined;
    return await filesOf([paths].flat().map((path) => this.#resolve(path)), this.places.output);
  }

  #resolve(path: string): string {
    return isAbsolute(path) ? path : join(this.places.folder, path);
  }
}

/**
 * Reads the settings of `prepare` from YAML: a list `sources`, each with `name`, `files` (files or
 * folders), and if needed `corpus`, `asPublished`, `recipe`, `perplexity` and `weight`.
 *
 * @param output the folder for the shards, which must not lie in a folder of a source
 * @throws UserError naming the file and key that is wrong
 */
export async function readPrepareSettings(path: string, output?: string): Promise<PrepareFile> {
  const content = parseYaml(await fileText(path), path);
  const places = { folder: dirname(path), output };
  const file = Section.of(content, FILE_KEYS, path, places);
  const list = file.value("sources", Array.isArray, "a list") ?? [];
  if (list.length === 0) {
    throw new UserError(`${path}: "sources" must be a list of sources with "name" and "files"`);
  }
  // One after another: the first mistake is told, and nothing is being read any more by then.
  const sources: PrepareSource[] = [];
  for (const [i, source] of list.entries()) {
    const section = Section.of(source, SOURCE_KEYS, `${path}, source ${i + 1}`, places);
    sources.push(await readSource(section));
  }
  const twice = sources.find(({ name }, i) => sources.findIndex((s) => s.name === name) !== i);
  if (twice !== undefined) throw new UserError(`${path}: two sources are named "${twice.name}"`);
  const packing = {
    sequence: file.count("sequence"),
    format: file.value("format", isShardFormat, "steel or litpkds"),
    blocksPerShard: file.count("blocksPerShard"),
  };
  try {
    // Now, not after hours of cleaning.
    shardShape(packing);
    checkWeights(sources);
  } catch (error) {
    throw new UserError(`${path}: ${messageOf(error)}`);
  }
  return { sources, ...packing, tokenizer: file.path("tokenizer") };
}

async function readSource(section: Section): Promise<PrepareSource> {
  const { place } = section;
  const name = section.text("name");
  if (name === undefined || !/^[\w.-]+$/.test(name)) {
    throw new UserError(`${place}: "name" must be a word that can name a file`);
  }
  const files = await section.files("files");
  if (files === undefined) throw new UserError(`${place}: "files" must name files or folders`);
  const recipe = await recipeOf(section);
  const perplexity = await perplexityOf(section);
  if (perplexity !== undefined && recipe === undefined) {
    throw new UserError(`${place}: "perplexity" is of a filter of a recipe: give "recipe" too`);
  }
  return {
    name,
    files,
    corpus: section.text("corpus"),
    asPublished: section.value("asPublished", isYesOrNo, "true or false"),
    recipe,
    perplexity,
    weight: section.value("weight", isPositive, "a number above 0"),
  };
}

/**
 * The recipe of a source: its path is relative to the settings file; a name alone is of a recipe
 * that ships with this project.
 */
async function recipeOf(section: Section): Promise<Recipe | undefined> {
  const recipe = section.text("recipe");
  if (recipe === undefined) return undefined;
  const path = recipePath(recipe);
  return await readRecipe(path === recipe ? section.path("recipe")! : path);
}

async function perplexityOf(source: Section): Promise<PerplexitySettings | undefined> {
  if (source.values.perplexity === undefined) return undefined;
  const place = `${source.place}, perplexity`;
  const section = Section.of(source.values.perplexity, PERPLEXITY_KEYS, place, source.places);
  const [arpa, sentencePiece] = [section.path("arpa"), section.path("sentencePiece")];
  const reference = await section.files("reference");
  const percentile = section.value("percentile", isPercentage, "a number above 0, at most 100");
  if (reference !== undefined && arpa === undefined && sentencePiece === undefined) {
    return { reference, percentile };
  }
  if (reference === undefined && arpa !== undefined && sentencePiece !== undefined) {
    return { arpa, sentencePiece, percentile };
  }
  throw new UserError(`${place}: expected either "arpa" and "sentencePiece", or "reference"`);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTextOrTexts(value: unknown): value is string | string[] {
  return isText(value) || Array.isArray(value) && value.every(isText);
}

function isYesOrNo(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isPositive(value: unknown): value is number {
  return Number.isFinite(value) && Number(value) > 0;
}

function isPercentage(value: unknown): value is number {
  return isPositive(value) && value <= 100;
}

function isShardFormat(value: unknown): value is "steel" | "litpkds" {
  return value === "steel" || value === "litpkds";
}
