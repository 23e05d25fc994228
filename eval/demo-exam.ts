import { join } from "node:path";
import { stringify } from "csv-stringify/sync";
import { embeddedExam, embeddedExamples } from "../data/exam/embedded-instructions.ts";
import type { PoemQuestion } from "../data/exam/poem-questions.ts";
import { formatJson } from "../data/text/json.ts";
import { WholeFile } from "../data/files/whole-file.ts";
import { makeFolder } from "../data/files/make-folder.ts";
import { LETTERS } from "./benchmarks/benchmark.ts";

/** As in C-Eval's `subject_mapping.json`: English name, name in prompts, category. */
const SUBJECTS: Record<PoemQuestion["kind"], [string, string, string]> = {
  form: ["Forms of verse", "诗体", "Form"],
  source: ["Collections of poems", "诗集", "Source"],
  author: ["Poets", "诗人", "Author"],
  "next line": ["Couplets", "诗句", "Next line"],
};

/**
 * Writes the exam of `deno task eval demo` in C-Eval's layout: questions about the embedded poems
 * that are held out (val), examples to put before them (dev), and the list of subjects.
 *
 * @throws {UserError} when it cannot be written
 */
export async function writeDemoExam(folder: string): Promise<void> {
  const splits = { dev: await embeddedExamples(), val: await embeddedExam() };
  for (const [split, questions] of Object.entries(splits)) {
    await makeFolder(join(folder, split));
    for (const [kind, ofKind] of Map.groupBy(questions, ({ kind }) => kind)) {
      const file = join(folder, split, `${handleOf(kind)}_${split}.csv`);
      await WholeFile.write(file, csvOf(ofKind));
    }
  }
  const mapping = Object.entries(SUBJECTS).map(([kind, names]) => [handleOf(kind), names]);
  await WholeFile.write(
    join(folder, "subject_mapping.json"),
    formatJson(Object.fromEntries(mapping)),
  );
}

function handleOf(kind: string): string {
  return kind.replaceAll(" ", "_");
}

function csvOf(questions: PoemQuestion[]): string {
  const rows = questions.map(({ exam: { question, options, answer } }, id) => [
    ...[id, question, ...options, answer],
  ]);
  return stringify([["id", "question", ...LETTERS, "answer"], ...rows]);
}
