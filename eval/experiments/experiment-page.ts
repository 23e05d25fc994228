import { type Curve, intervalChart, lineChart, type Point } from "../../data/page/charts.ts";
import type { Page, PageBlock } from "../../data/page/page.ts";
import type { Table } from "../../data/page/table.ts";
import { timeText } from "../../data/progress/time-text.ts";
import { FailureSignatures } from "../../model/host/failure-signatures.ts";
import type { Experiment } from "./experiment.ts";
import {
  ACCURACY,
  type ArmMeasurements,
  AS_GENERATED,
  differenceOf,
  endOf,
  LAST_STEPS_IN_WORDS,
  type Mean,
  meanOf,
  QUANTITIES,
  type Quantity,
} from "./measurements.ts";
import { changesOf, haveOneLoss, haveOneText, planArms, type PlannedArm } from "./plan.ts";
import { meanText, numberText } from "./quantity-text.ts";
import { isTimed, timesText, timingTables } from "./timing-tables.ts";
import type { ExperimentState } from "./run-experiment.ts";

/** The page of an experiment: its question, ours beside the paper's figures, curves, arms, commands. */
export function experimentPage(
  { experiment, command, began, lengths, commands }: ExperimentState,
  folder: string,
  arms: readonly ArmMeasurements[],
): Page {
  const { title, question, paper, scale, scaleName } = experiment;
  const planned = planArms(experiment, folder);
  return {
    title,
    blocks: [
      { kind: "text", text: question },
      ...(paper === "" ? [] : [{ kind: "text" as const, text: `In the paper: ${paper}` }]),
      {
        kind: "text",
        text:
          `Scale ${scaleName}${scale.about ? ` (${scale.about})` : ""}, ${
            repeatedInWords(experiment)
          }; begun ` +
          [`${began.slice(0, 16).replace("T", " ")} UTC.`, ...lengthsInWords(lengths)]
            .join(" "),
      },
      ...[...resultTables(experiment, arms), ...costTables(arms)].map((table): PageBlock => ({
        kind: "table",
        table,
        cards: true,
      })),
      ...QUANTITIES.filter(({ isResult }) => isResult).flatMap((quantity) =>
        intervalBlocks(quantity, arms)
      ),
      ...sourceBlocks(arms),
      ...lossBlocks(planned, arms),
      ...signatureBlocks(arms),
      { kind: "heading", level: 2, text: "Arms" },
      { kind: "table", table: armTable(experiment) },
      { kind: "heading", level: 2, text: "Commands" },
      {
        kind: "code",
        text: [
          command,
          "",
          "# which runs:",
          ...Object.values(commands),
        ].join("\n"),
      },
      ...(isTimed(experiment) ? [] : [{
        kind: "text" as const,
        text: `Every run is an ordinary one. This makes a page of the first: ` +
          `deno task report ${planned[0].runs[0].dir}`,
      }]),
    ],
  };
}

/** How often each arm is repeated. */
function repeatedInWords(experiment: Experiment): string {
  const seeds = experiment.scale.seeds.length;
  if (isTimed(experiment)) return `each row timed ${timesText(seeds)}`;
  return seeds === 1 ? "one seed" : `${seeds} seeds`;
}

/** How long the runs of each stage are; in tokens too, where all steps have as many. */
function lengthsInWords(lengths: ExperimentState["lengths"]): string[] {
  return Object.entries(lengths).map(([stage, { steps, tokensPerStep }]) => {
    // Blocks of pretraining are all of one length, examples are not.
    const tokens = stage === "pretrain"
      ? `, ${(steps * tokensPerStep).toLocaleString("en")} tokens`
      : "";
    return `Each run of ${stage} has ${steps.toLocaleString("en")} steps${tokens}.`;
  });
}

/** What was measured of all arms, in one table, or in one for each figure of timed steps. */
export function resultTables(experiment: Experiment, arms: readonly ArmMeasurements[]): Table[] {
  return isTimed(experiment) ? timingTables(experiment, arms) : [resultTable(experiment, arms)];
}

/** Means of all arms, with differences from the first one and the paper's figures. */
function resultTable(
  { published, scale }: Experiment,
  arms: readonly ArmMeasurements[],
): Table {
  const shown = shownOf(arms).filter(({ isResult }) => isResult);
  const main = shown.find((quantity) => arms[0].values.has(quantity));
  const ofPaper = shown.filter(({ figure }) =>
    figure && Object.values(published).some((row) => row[figure] !== undefined)
  );
  const reference = main && meanOf(arms[0].values.get(main));
  return {
    title: "",
    columns: [
      "",
      ...shown.flatMap((quantity) => [
        quantity.title,
        ...(quantity === main && arms.length > 1 ? [`difference from ${arms[0].arm}`] : []),
        ...(ofPaper.includes(quantity) ? ["paper", "difference from it"] : []),
      ]),
    ],
    rows: arms.map(({ arm, values }, index) => [
      arm,
      ...shown.flatMap((quantity) => {
        const mean = meanOf(values.get(quantity));
        const own = quantity.figure && published[arm]?.[quantity.figure];
        return [
          meanText(mean, quantity),
          ...(quantity === main && arms.length > 1
            ? [
              index === 0 || !mean || !reference
                ? ""
                : signed(differenceOf(mean, reference), quantity),
            ]
            : []),
          ...(ofPaper.includes(quantity)
            ? [
              own === undefined ? "" : own.toFixed(quantity.digits),
              own === undefined || !mean ? "" : signed({ mean: mean.mean - own }, quantity),
            ]
            : []),
        ];
      }),
    ]),
    notes: [
      scale.seeds.length > 1
        ? `Mean over ${scale.seeds.length} seeds ± its standard error` +
          (arms.length === 1 ? "." : `; a difference may be chance unless it is more than ` +
            `${
              errorsAboveChance(scale.seeds.length)
            } times its error (95 %, Student's t, for one ` +
            `comparison alone).`)
        : "One seed: another seed may move a figure as far as an arm does.",
      ...(shown.includes(ACCURACY)
        ? [`Rewards are of the pairs that were trained on, ${LAST_STEPS_IN_WORDS}.`]
        : []),
      ...(shown.includes(AS_GENERATED)
        ? [
          "As generated: each token is predicted from those before it, as when text is written. " +
          "In a whole pass, a Soft MoE has seen the tokens that it predicts; that figure, the " +
          "training loss and the validation loss of such an arm are not to be compared with a " +
          "causal one's.",
        ]
        : []),
    ],
  };
}

/**
 * How many errors a difference of two means must have to be no chance: the two-sided 95 % quantile of
 * Student's t with 2 (seeds - 1) degrees of freedom.
 */
function errorsAboveChance(seeds: number): number {
  return [4.3, 2.8, 2.5, 2.3][seeds - 2] ?? 2.2;
}

/** What each arm is and costs: parameters, speed, memory. None where nothing was trained. */
export function costTables(arms: readonly ArmMeasurements[]): Table[] {
  const shown = shownOf(arms).filter(({ isResult }) => !isResult);
  if (shown.length === 0) return [];
  return [{
    title: "",
    columns: ["", ...shown.map(({ title }) => title)],
    rows: arms.map(({ arm, values }) => [
      arm,
      ...shown.map((quantity) => meanText(meanOf(values.get(quantity)), quantity)),
    ]),
    notes: ["Of the last run of each arm: tokens a second of the median step, planned memory."],
  }];
}

function shownOf(arms: readonly ArmMeasurements[]): Quantity[] {
  return QUANTITIES.filter((quantity) => arms.some(({ values }) => values.has(quantity)));
}

function signed(value: Mean, quantity: Quantity): string {
  const isZero = Number(value.mean.toFixed(quantity.digits)) === 0;
  const shown = { ...value, mean: isZero ? 0 : value.mean };
  return `${shown.mean > 0 ? "+" : ""}${meanText(shown, quantity)}`;
}

/** Means with their errors, where there are at least two arms to compare. */
function intervalBlocks(quantity: Quantity, arms: readonly ArmMeasurements[]): PageBlock[] {
  const means = arms.flatMap(({ arm, values }) => {
    const mean = meanOf(values.get(quantity));
    if (!mean) return [];
    const error = quantity.isPlanned ? undefined : mean.error;
    return [{ name: arm, value: mean.mean, label: numberText(mean.mean, quantity), error }];
  });
  if (means.length < 2) return [];
  const caption = means.map(({ name, label }) => `${name} (${label})`).join(", ");
  return [{
    kind: "chart",
    title: quantity.title,
    chart: intervalChart(means, quantity.title),
    caption: `${quantity.title}: ${caption}`,
  }];
}

/** Bits a byte of each source of the text, where there is more than one. */
function sourceBlocks(arms: readonly ArmMeasurements[]): PageBlock[] {
  const sources = [...new Set(arms.flatMap(({ sources }) => [...sources.keys()]))];
  if (sources.length < 2) return [];
  const table = {
    title: "",
    columns: [AS_GENERATED.title, ...sources],
    rows: arms.map(({ arm, sources: own }) => [
      arm,
      ...sources.map((source) => meanText(meanOf(own.get(source)), AS_GENERATED)),
    ]),
    notes: [],
  };
  return [{ kind: "heading", level: 3, text: "By source" }, { kind: "table", table }];
}

/** The losses of all arms, or where these differ in kind, how often the better answer is preferred. */
function lossBlocks(
  planned: readonly PlannedArm[],
  arms: readonly ArmMeasurements[],
): PageBlock[] {
  if (!haveOneLoss(planned)) {
    return curveBlocks(
      arms,
      "accuracy",
      "Share of pairs with the larger reward for the better answer",
      "share of pairs",
    );
  }
  if (!haveOneText(planned)) {
    return curveBlocks(arms, "loss", "Training loss, each on its own data", "training loss");
  }
  return [
    ...curveBlocks(arms, "validationLoss", "Validation loss"),
    ...curveBlocks(arms, "loss", "Training loss"),
  ];
}

/**
 * The same measurement of all arms on one axis, each the mean over its seeds. What each step measures
 * is told as a mean over the last ones.
 */
function curveBlocks(
  arms: readonly ArmMeasurements[],
  key: string,
  title: string,
  unit = title.toLowerCase(),
): PageBlock[] {
  const isOfSteps = key !== "validationLoss";
  const curves = arms.map(({ arm, curves }): Curve => {
    const bySteps = Map.groupBy(
      [...curves.values()].flat().filter(({ [key]: value }) => value !== undefined),
      ({ step }) => step,
    );
    const points = [...bySteps].sort(([a], [b]) => a - b).map(([step, lines]): Point => [
      step,
      lines.reduce((sum, line) => sum + line[key], 0) / lines.length,
    ]);
    return { name: arm, points, look: key === "loss" ? "thin" : "dots" };
  }).filter(({ points }) => points.length > 0);
  if (curves.length === 0) return [];
  const ends = curves.map(({ name, points }) => {
    const last = isOfSteps ? endOf(points) : points.slice(-1);
    return `${name} (${meanOf(last.map(([, value]) => value))!.mean.toFixed(3)})`;
  });
  return [{
    kind: "chart",
    title,
    chart: lineChart({ curves, unit }),
    caption: `${title}, ${isOfSteps ? `on average ${LAST_STEPS_IN_WORDS}` : "at the end"}: ${
      ends.join(", ")
    }`,
  }];
}

/** Signatures of failures in the last runs of the arms, if there were any. */
function signatureBlocks(arms: readonly ArmMeasurements[]): PageBlock[] {
  const items = arms.flatMap(({ arm, curves }) =>
    [...curves].flatMap(([seed, metrics]) => {
      const signatures = new FailureSignatures();
      return metrics.flatMap((line) => signatures.observe(line))
        .map(({ step, text }) => `${arm}, seed ${seed}, step ${step}: ${text}`);
    })
  );
  if (items.length === 0) return [];
  return [
    { kind: "heading", level: 3, text: "What the metrics show" },
    { kind: "list", items },
  ];
}

/** The settings in which each arm differs. */
function armTable(experiment: Experiment): Table {
  return {
    title: "",
    columns: ["arm", "differs in"],
    rows: Object.keys(experiment.arms).map((arm) => [
      arm,
      [...changesOf(experiment, arm)].map(([name, value]) =>
        value === true ? name : `${name}=${JSON.stringify(value)}`
      ).join(", ") || "nothing",
    ]),
    notes: [],
  };
}

/** What an experiment at its scale comes to, before it is run. */
export function planText(experiment: Experiment, runs: readonly { stage: string }[]): string {
  const { scale, scaleName, title } = experiment;
  const arms = Object.keys(experiment.arms).length;
  const counts = Object.entries(Object.groupBy(runs, ({ stage }) => stage));
  return [
    `${title}, scale ${scaleName}: ${arms} ${arms === 1 ? "arm" : "arms"}, ${
      repeatedInWords(experiment)
    }`,
    ...(scale.about ? [scale.about] : []),
    ...counts.map(([stage, runs]) => {
      const budget = scale.budget[stage as keyof typeof scale.budget];
      const each = budget === undefined
        ? "as long as its settings say"
        : "tokens" in budget
        ? `${budget.tokens.toLocaleString("en")} tokens each${
          costText(budget.tokens * runs!.length, scale.tokensPerSecond)
        }`
        : `${budget.minutes} minutes together`;
      return `${stage}: ${runs!.length} runs, ${each}`;
    }),
  ].join("\n");
}

function costText(tokens: number, tokensPerSecond: number | undefined): string {
  if (tokensPerSecond === undefined) return "";
  const seconds = tokens / tokensPerSecond;
  const time = seconds > 48 * 3600 ? `${Math.round(seconds / 86400)} days` : timeText(seconds);
  return `; ${time} together at ${tokensPerSecond.toLocaleString("en")} tokens a second`;
}
