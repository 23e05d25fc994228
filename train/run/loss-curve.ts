import { drawCurves, type Point } from "./curves.ts";

export interface LossCurve {
  title: string;
  /** Mean loss over the targets of each step: nats per token, or per pair. */
  training: Point[];
  validation: Point[];
  /** The loss of a model that knows only how often each token occurs, in nats; drawn as a line. */
  unigramEntropy?: number;
}

/** Draws the losses of a run. Returns an SVG file. */
export function lossCurve({ title, training, validation, unigramEntropy }: LossCurve): string {
  return drawCurves({
    title,
    axis: unigramEntropy === undefined ? "loss" : "loss (nats a token)",
    curves: [
      { name: "training", points: training, color: "#7ea6d3", dense: true },
      { name: "validation", points: validation, color: "#c23531", dense: false },
    ],
    mark: unigramEntropy === undefined ? undefined : {
      value: unigramEntropy,
      label: `unigram entropy ${unigramEntropy.toFixed(2)}`,
    },
  });
}
