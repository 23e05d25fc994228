import { join, relative, resolve } from "node:path";
import { DEMO_DATA } from "../benchmarks/benchmarks.ts";
import type { Stage } from "../../model/runs/stage-folder.ts";
import type { ReportData, ReportedResults } from "./report-data.ts";
import { dateText, trainingTime } from "../../model/runs/stage-numbers.ts";

/**
 * The commands that give each result again, for a shell. Runs go to folders of their own: in the
 * folder of a finished run, a command has nothing left to do.
 */
export function reproduction({ folder, stages, evaluations }: ReportData): string[] {
  const isOneRun = stages.length === 1 && stages[0].folder === folder;
  const again = isOneRun ? `${folder}-again` : join(folder, "again");
  /** The path that takes the place of one in a run of this report. */
  const fresh = (path: string) => {
    const isMade = stages.some((stage) =>
      `${resolve(path)}/`.startsWith(`${resolve(stage.folder)}/`)
    );
    return isMade ? join(again, relative(folder, path)) : path;
  };
  const parts = [
    ...stages.map((stage) => ({
      commit: stage.facts.commit,
      lines: trainingCommand(stage, fresh),
    })),
    ...evaluations.map((evaluation) => ({
      commit: evaluation.commit,
      lines: evaluationCommand(evaluation, join(again, relative(folder, evaluation.folder)), fresh),
    })),
  ];
  let current: string | undefined;
  return [
    ...parts.flatMap(({ commit, lines }) => {
      if (commit === undefined || commit === current) return lines;
      current = commit;
      return [`git checkout ${word(commit)}`, ...lines];
    }),
    `deno task report ${word(again)}`,
  ];
}

function trainingCommand(
  { task, name, folder, settings, facts: { began }, metrics }: Stage,
  fresh: (path: string) => string,
): string[] {
  if (task === undefined) return [];
  const base = settings.model?.path;
  const time = trainingTime(metrics);
  return [
    ...whenBegan(name, began, time && `trained for ${time}`),
    command(
      `deno task ${task} --config ${word(join(folder, "settings.yaml"))}`,
      ...(typeof base === "string" && fresh(base) !== base
        ? [`--model.path=${word(fresh(base))}`]
        : []),
      `--run.dir=${word(fresh(folder))}`,
    ),
  ];
}

function evaluationCommand(
  results: ReportedResults,
  out: string,
  fresh: (path: string) => string,
): string[] {
  const [model, adapter] = results.model.split(" + ");
  return [
    ...whenBegan(`${results.title} of ${results.model}`, results.began),
    command(
      results.data === DEMO_DATA
        ? "deno task eval demo"
        : `deno task eval ${word(results.benchmark)} --data ${word(results.data)}`,
      `--model ${word(fresh(model))}${adapter ? ` --adapter ${word(fresh(adapter))}` : ""} ` +
        `--out ${word(out)}`,
      `--protocol ${word(results.protocol)} --split ${word(results.split)} --shots ${
        word(results.shots)
      }`,
      ...(results.subjects ? [`--subjects ${word(results.subjects.join())}`] : []),
      [
        ...(results.chainOfThought ? ["--cot"] : []),
        ...(results.limit ? [`--limit ${word(results.limit)}`] : []),
        ...(results.precision ? [`--precision ${word(results.precision)}`] : []),
        ...(results.problems.length > 0 ? ["--keep-going"] : []),
        `--seed ${word(results.seed)}`,
      ].join(" "),
    ),
  ];
}

/** A comment that says when something began, and more where it is known. */
function whenBegan(what: string, began: string | undefined, more?: string): string[] {
  const known = [began && `began ${dateText(began)}`, more].filter(Boolean);
  return known.length === 0 ? [] : [comment(`${what}: ${known.join(", ")}`)];
}

/** A command whose arguments stand below one another. */
function command(...parts: string[]): string {
  return parts.join(" \\\n  ");
}

/** A text as a shell takes it for one word. */
function word(value: string | number): string {
  const text = String(value);
  return /^[\p{L}\p{N}_./:,-]+$/u.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A text that a shell passes over. */
function comment(text: string): string {
  return `# ${text.replace(/\p{C}/gu, " ")}`;
}
