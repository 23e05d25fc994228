import { drawCurves, type Point } from "./curves.ts";

export interface LossCurve {
  title: string;
  /** Means over the targets of a step: nats a token, or what a loss over pairs comes to. */
  training: Point[];
  validation: Point[];
  /** Drawn as a line: what a model that knows only the tokens' frequencies would reach, in nats. */
  unigramEntropy?: number;
}

/** The losses of a run as a picture: the text of an SVG file. */
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
