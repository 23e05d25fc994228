import { cleanDocuments, type Cleaned, type CleaningOptions } from "./clean-documents.ts";
import { loadModels, type ModelFiles } from "./models.ts";
import { documentsOf, type ReadingRules } from "../readers/documents.ts";
import type { Problem } from "../readers/problems.ts";
import type { RecordJob } from "../readers/record-jobs.ts";
import { type PreparedStep, prepareSteps, type RecipeStep } from "../recipe.ts";
import type { Work } from "../threads.ts";

/** What all jobs of a cleaning have in common. */
export interface CleanSetup {
  steps: RecipeStep[];
  reading: ReadingRules;
  options: CleaningOptions;
  models: ModelFiles;
}

export interface CleanJobResult {
  cleaned: Cleaned;
  problems: Problem[];
  leftOut: number;
}

/** The work of a worker, which loads its own models. */
export async function prepareCleaning(
  setup: CleanSetup,
): Promise<Work<RecordJob, CleanJobResult>> {
  return cleaningWork(prepareSteps(setup.steps, await loadModels(setup.models)), setup);
}

/** The work of one thread: it reads a batch of records and cleans its documents. */
export function cleaningWork(
  steps: PreparedStep[],
  { reading, options }: CleanSetup,
): Work<RecordJob, CleanJobResult> {
  return ({ batch, file, unit }) => {
    const { documents, problems, leftOut } = documentsOf(batch, file, unit, reading);
    return { cleaned: cleanDocuments(documents, steps, options), problems, leftOut };
  };
}
