import type { Figure, Page, PageBlock } from "../../data/page/page.ts";
import type { Table } from "../../data/page/table.ts";
import { isControl } from "../answerer.ts";
import { headline } from "../result-tables.ts";
import type { Results } from "../../model/host/evaluation-results.ts";
import { evaluationBlocks } from "./evaluation-blocks.ts";
import type { Stage } from "../../model/runs/stage-folder.ts";
import type { ReportData } from "./report-data.ts";
import { reproduction } from "./reproduction.ts";
import { stageBlocks } from "../../model/runs/stage-blocks.ts";
import { lastOf } from "../../data/page/charts.ts";
import {
  countText,
  dateText,
  decimals,
  firstOf,
  percent,
  trainingTime,
} from "../../model/runs/stage-numbers.ts";

/**
 * A report on training and evaluations: what happened, then each stage with its curves, samples,
 * machine and settings, the evaluations, and the commands that reproduce it all.
 */
export function report(data: ReportData): Page {
  const { folder, stages, evaluations } = data;
  const figures = outcome(stages, evaluations);
  const machines = new Set(stages.flatMap(machineOf));
  return {
    title: `Report on ${folder}`,
    blocks: [
      ...(figures.length > 0 ? [{ kind: "figures" as const, figures }] : []),
      ...(stages.length > 0
        ? [{ kind: "table" as const, table: stageTable(stages), cards: true }]
        : []),
      ...[...machines].map((text): PageBlock => ({ kind: "text", text })),
      ...stages.flatMap(stageBlocks),
      ...evaluationBlocks(evaluations),
      { kind: "heading", level: 2, text: "To reproduce" },
      { kind: "code", text: reproduction(data).join("\n") },
      { kind: "text", text: versions() },
    ],
  };
}

/** What changed: the loss and the exam before and after each stage, and the scores. */
function outcome(stages: Stage[], evaluations: Results[]): Figure[] {
  return [
    ...stages.flatMap(({ name, metrics, facts }) => {
      const before = firstOf(metrics, "loss");
      const after = lastOf(metrics, "validationLoss") ?? lastOf(metrics, "loss");
      return [
        change(`${name}: loss`, decimals(before), decimals(after)),
        change(
          `${name}: exam`,
          percent(facts.examBefore).replace(" %", ""),
          percent(facts.examAfter),
        ),
      ].flat();
    }),
    ...evaluations.filter(({ scores, model }) => scores && !isControl(model)).map((results) => ({
      label: `${shortName(results.model)}: ${results.title}, ${results.protocol}, % right`,
      value: headline(results),
    })),
  ];
}

function change(label: string, before = "", after = ""): Figure[] {
  if (before === "" || after === "") return [];
  return [{ label, value: `${before} → ${after}` }];
}

/** `dpo, step 57` for a run's checkpoint; other folders by their own name. */
function shortName(model: string): string {
  const [, run, step] = /([^/]+)\/checkpoints\/step-0*(\d+)\/?$/.exec(model) ?? [];
  return run === undefined ? model.replace(/\/$/, "").split("/").at(-1)! : `${run}, step ${step}`;
}

/** When each stage began, how long it trained, and on how much. */
function stageTable(stages: Stage[]): Table {
  return {
    title: "",
    columns: ["", "began", "trained for", "steps", "tokens"],
    rows: stages.map(({ name, task, facts: { began }, metrics }) => [
      task === undefined || task === name ? name : `${name} (${task})`,
      began === undefined ? "" : dateText(began),
      trainingTime(metrics) ?? "",
      countText(lastOf(metrics, "step")),
      countText(lastOf(metrics, "tokens")),
    ]),
    notes: [
      "Loss: at the first step, before the weights change → at the end, on held-out text if there " +
      "is any." +
      (stages.some(({ facts }) => facts.examAfter !== undefined)
        ? " Exam: questions about poems that no stage trains on; guessing gets 25 %."
        : ""),
    ],
  };
}

/** The device and the machine of a stage, as a sentence. */
function machineOf({ facts: { others: { device, machine } } }: Stage): string[] {
  if (device === undefined) return [];
  return [`Trained on ${device}${machine === undefined ? "" : ` (${machine})`}.`];
}

function versions(): string {
  const { deno, v8, typescript } = Deno.version;
  return `This page was made with Deno ${deno} (V8 ${v8}, TypeScript ${typescript}) on ` +
    `${Deno.build.os} ${Deno.build.arch}. It needs no network and runs no script.`;
}
