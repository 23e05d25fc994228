import { lineChart, type Point } from "./charts.ts";
import type { Chart } from "./draw.ts";
import { type PageText, words } from "./words.ts";

/** The losses of a run. */
export interface Losses {
  /** A title within the picture, where nothing around it has one. */
  title?: string;
  /** The loss of each step. */
  training: Point[];
  /** The loss over what is held out. */
  validation: Point[];
  /** What the losses are, with their unit. */
  unit: PageText;
  /** The loss of a model that knows only how often each token occurs, in nats. */
  unigramEntropy?: number;
}

/** With fewer steps, a mean hides more than it shows. */
const FEWEST_AVERAGED = 20;

/** A mean is taken over this part of all steps. */
const AVERAGED_PART = 1 / 40;

/** Above this part of the losses of steps, by size, is what only the first steps have. */
const SHOWN_PART = 0.9;

/**
 * The losses of a run: of each step in grey, their mean, and over what is held out. The axis ends
 * where the first steps have passed, so that the end of the run is seen, not its fall alone.
 */
export function lossChart({ title, training, validation, unit, unigramEntropy }: Losses): Chart {
  const window = windowOf(training);
  const isAveraged = training.length >= FEWEST_AVERAGED;
  return lineChart({
    title,
    curves: [
      ...(isAveraged
        ? [
          { name: words("each step", "每步"), points: training, look: "raw" as const },
          {
            name: words(`mean of ${window} steps`, `${window} 步均值`),
            points: means(training, window),
          },
        ]
        : [{ name: words("training", "训练"), points: training }]),
      ...(validation.length > 0
        ? [{ name: words("validation", "验证"), points: validation, look: "dots" as const }]
        : []),
    ],
    unit,
    mark: unigramEntropy === undefined ? undefined : {
      value: unigramEntropy,
      label: words(
        `unigram entropy ${unigramEntropy.toFixed(2)}`,
        `一元熵 ${unigramEntropy.toFixed(2)}`,
      ),
    },
    top: shownTop([...training, ...validation], unigramEntropy),
  });
}

/** The losses of several runs on one axis, each as a mean over its steps. */
export function lossesChart(
  runs: readonly { readonly name: string; readonly training: Point[] }[],
  unit: PageText,
): Chart {
  const curves = runs.map(({ name, training }) => ({
    name,
    points: training.length < FEWEST_AVERAGED ? training : means(training, windowOf(training)),
  }));
  return lineChart({ curves, unit, top: shownTop(curves.flatMap(({ points }) => points)) });
}

function windowOf(points: Point[]): number {
  return Math.max(2, Math.round(points.length * AVERAGED_PART));
}

/** The mean of each step's value and its neighbours', `window` in all; at the ends, of fewer. */
function means(points: Point[], window: number): Point[] {
  const sums = [0]; // of the values before each point
  for (const [, value] of points) sums.push(sums.at(-1)! + value);
  return points.map(([step], index) => {
    const first = Math.max(0, index - Math.floor((window - 1) / 2));
    const end = Math.min(points.length, index + Math.floor(window / 2) + 1);
    return [step, (sums[end] - sums[first]) / (end - first)];
  });
}

/** The largest loss to show, or undefined if the losses of the first steps are not far above. */
function shownTop(points: Point[], unigramEntropy = -Infinity): number | undefined {
  const sorted = points.map(([, value]) => value).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const [least, most] = [sorted[0], sorted.at(-1)!];
  const usual = sorted[Math.floor(SHOWN_PART * (sorted.length - 1))];
  const top = Math.max(usual + (usual - least) / 4, unigramEntropy + (usual - least) / 8);
  return top < most ? top : undefined;
}
