import { timeText } from "../../data/progress/time-text.ts";
import { pointsOf } from "../../data/page/charts.ts";
import type { StepMetrics } from "../host/step-metrics.ts";

/** The earliest value of a measurement. */
export function firstOf(metrics: readonly StepMetrics[], key: string): number | undefined {
  return metrics.find((line) => line[key] !== undefined)?.[key];
}

/** How long all steps took together, with their validations; undefined if it was not measured. */
export function trainingTime(metrics: readonly StepMetrics[]): string | undefined {
  const measured = pointsOf(metrics, "seconds");
  if (measured.length === 0) return undefined;
  return timeText(measured.reduce((sum, [, seconds]) => sum + seconds, 0));
}

/** A whole number with its thousands apart. */
export function countText(value: number | undefined): string {
  return value?.toLocaleString("en", { maximumFractionDigits: 0 }) ?? "";
}

/** A loss as text. */
export function decimals(value: number | undefined): string {
  return value?.toFixed(3) ?? "";
}

/** A share as text, such as `27.1 %`. */
export function percent(share: number | undefined): string {
  return share === undefined ? "" : `${(100 * share).toFixed(1)} %`;
}

/** Such as `2025-11-27 18:02 UTC`, of a time as ISO 8601 has it. */
export function dateText(time: string): string {
  return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
