import type { Table } from "../../data/page/table.ts";
import type { Experiment } from "./experiment.ts";
import {
  type ArmMeasurements,
  type Mean,
  meanOf,
  type Quantity,
  STEP_MEMORY,
  STEP_SPEED,
} from "./measurements.ts";
import { meanText } from "./quantity-text.ts";

/** Whether an experiment times steps, and trains nothing. */
export function isTimed({ stages }: Experiment): boolean {
  return stages["bench:step"] !== undefined;
}

/**
 * Speed and memory of all arms, each in a table with the share that it is of the first arm's, beside
 * the paper's figure and the share that this is of the paper's: other devices and models differ in all
 * figures, but may differ less in shares.
 */
export function timingTables(
  { published, scale }: Experiment,
  arms: readonly ArmMeasurements[],
): Table[] {
  const times = scale.seeds.length;
  const notRun = arms.flatMap(({ arm, notRun }) => notRun === undefined ? [] : `${arm}: ${notRun}`);
  return [
    tableOf(STEP_SPEED, published, arms, [
      `Each row is a process of its own, timed ${
        timesText(times)
      }; a figure is that of the median ` +
      `step${
        times > 1 ? ", mean ± standard error: differences of less than two errors mean little" : ""
      }.`,
      ...notRun,
    ]),
    tableOf(STEP_MEMORY, published, arms, ["As planned, before anything is allocated."]),
  ];
}

/** `once`, `3 times`. */
export function timesText(times: number): string {
  return times === 1 ? "once" : `${times} times`;
}

function tableOf(
  quantity: Quantity,
  published: Experiment["published"],
  arms: readonly ArmMeasurements[],
  notes: string[],
): Table {
  const paper = (arm: string): Mean | undefined => {
    const mean = published[arm]?.[quantity.figure!];
    return mean === undefined ? undefined : { mean };
  };
  const [first] = arms;
  const ourFirst = meanOf(first.values.get(quantity));
  return {
    title: "",
    columns: ["", quantity.title, "of the first", "paper", "of its first"],
    rows: arms.map(({ arm, values }) => {
      const mean = meanOf(values.get(quantity));
      const shares = arm === first.arm ? ["", ""] : [
        shareText(mean, ourFirst, quantity),
        shareText(paper(arm), paper(first.arm), quantity),
      ];
      return [arm, meanText(mean, quantity), shares[0], meanText(paper(arm), quantity), shares[1]];
    }),
    notes,
  };
}

/** What share one figure is of another, in percent, with its error where both have one. */
function shareText(
  mean: Mean | undefined,
  reference: Mean | undefined,
  { isPlanned }: Quantity,
): string {
  if (!mean || !reference) return "";
  const share = 100 * mean.mean / reference.mean;
  const rounded = `${Math.round(share)}`;
  if (isPlanned || mean.error === undefined || reference.error === undefined) return `${rounded} %`;
  const error = share * Math.hypot(mean.error / mean.mean, reference.error / reference.mean);
  return `${rounded} ± ${Math.round(error)} %`;
}
