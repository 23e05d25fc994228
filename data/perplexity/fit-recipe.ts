import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadModels, type ModelFiles, type PerplexityModel } from "../cleaning/models.ts";
import { perplexityFilter } from "../operators/perplexity-filter.ts";
import type { ReadingRules } from "../readers/documents.ts";
import { prepareSteps, type Recipe } from "../recipe.ts";
import { WholeFile } from "../files/whole-file.ts";
import type { WorkFolder } from "../files/work-folder.ts";
import { percentileOfPerplexity, trainOnReference } from "./calibrate.ts";

/** How perplexity is measured, and how much of it is allowed. */
export type PerplexitySettings = MeasuredByReference | MeasuredByModel;

/** Perplexity is measured by a model of characters that is made from well-written documents. */
export interface MeasuredByReference {
  /** The files of these documents. */
  reference: string[];
  /**
   * The share of the documents to keep, in percent; 30 if undefined. The recipe's own threshold is
   * not used: it was made for another model.
   */
  percentile?: number;
}

/** Perplexity is measured by a model of SentencePiece's pieces, as in Data-Juicer. */
export interface MeasuredByModel extends Required<PerplexityModel> {
  /** The share of the documents to keep, in percent; if undefined, the recipe's threshold holds. */
  percentile?: number;
}

/**
 * About the share of web pages that Data-Juicer's threshold keeps with the model it was made for.
 */
const DEFAULT_PERCENTILE = 30;

/** A recipe with a threshold for the user's model. */
export interface FittedRecipe {
  recipe: Recipe;
  model: PerplexityModel;
  /** How the recipe was changed, in words. */
  note: string;
}

/**
 * Makes the model of a reference, unless an earlier run has made it. If a share is given, sets the
 * threshold of the recipe's filter to the perplexity below which this share of the documents lies.
 *
 * @throws UserError for files that cannot be read, or a recipe without a perplexity filter
 */
export async function fitRecipe(
  recipe: Recipe,
  inputs: string[],
  settings: PerplexitySettings,
  reading: ReadingRules,
  models: ModelFiles,
  work: WorkFolder,
  onMessage: (text: string) => void,
): Promise<FittedRecipe> {
  const place = recipe.steps.findIndex(({ name }) => name === "perplexity_filter");
  if (place < 0) {
    throw new UserError("the recipe has no perplexity_filter to measure perplexity for");
  }
  const step = recipe.steps[place];
  const own = step.arguments.max_ppl ?? perplexityFilter.defaults.max_ppl;
  if ("arpa" in settings && settings.percentile === undefined) {
    const { arpa, sentencePiece } = settings;
    const note = `perplexity_filter: the recipe's threshold (${own}) was applied to what ${arpa} ` +
      `measures; it is right only if it was meant for that model`;
    return { recipe, model: { arpa, sentencePiece }, note };
  }
  const { percentile = DEFAULT_PERCENTILE } = settings;
  const model = await modelOf(settings, work, onMessage);
  const { perplexity, ...others } = await loadModels({ ...models, perplexity: model });
  const threshold = await percentileOfPerplexity(
    inputs,
    reading,
    prepareSteps(recipe.steps.slice(0, place), others),
    perplexity!,
    percentile,
  );
  const fitted = { ...step, arguments: { ...step.arguments, min_ppl: 0, max_ppl: threshold } };
  return {
    recipe: { ...recipe, steps: recipe.steps.with(place, fitted) },
    model,
    note: `perplexity_filter: the recipe's threshold (${own}) was put aside, as it may be of ` +
      `another model; ${threshold}, percentile ${percentile} of these documents, was taken`,
  };
}

async function modelOf(
  settings: PerplexitySettings,
  work: WorkFolder,
  onMessage: (text: string) => void,
): Promise<PerplexityModel> {
  if ("arpa" in settings) {
    return { arpa: settings.arpa, sentencePiece: settings.sentencePiece };
  }
  const arpa = work.file("perplexity.arpa");
  const done = await work.finished<PerplexityModel>("perplexity", onMessage);
  if (done !== undefined) return done;
  await using file = await WholeFile.create(arpa);
  await file.append(new TextEncoder().encode(await trainOnReference(settings.reference)));
  await work.finish("perplexity", { "perplexity.arpa": file }, { arpa });
  return { arpa };
}
