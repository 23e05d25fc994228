import type { StepMetrics } from "./step-metrics.ts";

/** Something in a run's metrics that often comes before a failure. */
export interface Signature {
  /** The step at which it was seen first. */
  readonly step: number;
  /** What it is, and what to try. */
  readonly text: string;
}

/** What is known of a run beside its metrics. */
export interface SignatureContext {
  /** Steps of the whole run, where a plateau on the way there is to be told: in fine-tuning. */
  readonly plateauWithin?: number;
  /** The languages that a model is fine-tuned on, beside those it was trained on before. */
  readonly languages?: string;
}

/** A gradient so many times as long as usual is a spike; so many of them within so many steps tell. */
const SPIKE = { factor: 10, count: 3, within: 100, usual: 50, fewest: 20 };
/** Halvings of the loss scale within so many steps. */
const FALL = { halvings: 3, within: 50 };
/** A slot or expert with less than this part of a fair share is dead. */
const DEAD = 0.05;
/**
 * A plateau: in so many steps, the mean loss falls by less than this part of it, while more than half
 * of the loss at the start is left and the run is not near its end.
 */
const PLATEAU = { shareOfRun: 0.1, fewest: 20, fall: 0.01, left: 0.5, until: 0.7 };

/**
 * Watches the metrics of a run, line by line, for signatures of failures. Each kind is told once. The
 * same lines give the same signatures: a report finds what the run told.
 */
export class FailureSignatures {
  readonly #lines: StepMetrics[] = [];
  readonly #told = new Set<string>();
  readonly #spikes: number[] = [];

  /** Watches a run from its first step, or from where its metrics begin. */
  constructor(private readonly context: SignatureContext = {}) {}

  /** Takes the next line. Returns what is seen in it for the first time. */
  observe(line: StepMetrics): Signature[] {
    const found = {
      spikes: this.#spikesAt(line),
      fall: this.#fallAt(line),
      plateau: this.#plateauAt(line),
      routing: routingAt(line),
    };
    this.#lines.push(line);
    return Object.entries(found).flatMap(([kind, text]) => {
      if (text === undefined || this.#told.has(kind)) return [];
      this.#told.add(kind);
      return [{ step: line.step, text }];
    });
  }

  #spikesAt({ step, gradientNorm }: StepMetrics): string | undefined {
    const norms = this.#lines.slice(-SPIKE.usual).map((line) => line.gradientNorm)
      .filter(Number.isFinite).sort((a, b) => a - b);
    if (norms.length < SPIKE.fewest) return undefined;
    const usual = norms[norms.length >> 1];
    // One that overflowed in f16 is no spike: its step is skipped, and the loss scale tells of it.
    const isSpike = Number.isFinite(gradientNorm) && gradientNorm > SPIKE.factor * usual;
    if (!isSpike) return undefined;
    this.#spikes.push(step);
    const recent = this.#spikes.filter((at) => at > step - SPIKE.within);
    if (recent.length < SPIKE.count) return undefined;
    return `Gradient spikes: in ${recent.length} of the last ${SPIKE.within} steps, the gradient was ` +
      `more than ${SPIKE.factor} times as long as usual (now ${short(gradientNorm)}, usually ` +
      `${
        short(usual)
      }). They are clipped, but a loss that jumps with them may not come back. Try a ` +
      `lower train.learningRate, a longer warm-up or a smaller train.clip; if they come at the same ` +
      `text in every epoch, look at that text.`;
  }

  #fallAt({ lossScale }: StepMetrics): string | undefined {
    if (lossScale === undefined) return undefined;
    const before = this.#lines.slice(-FALL.within).map((line) => line.lossScale)
      .filter((scale) => scale !== undefined);
    const highest = before.reduce((a, b) => Math.max(a, b), lossScale);
    if (lossScale > highest / 2 ** FALL.halvings) return undefined;
    return `The loss scale falls: from ${highest} to ${lossScale} within ${FALL.within} steps, as ` +
      `gradients overflow in f16. Each time a step is skipped; below a scale of 1 the run ends. Try a ` +
      `lower train.learningRate or a longer warm-up, or --train.precision=f32.`;
  }

  #plateauAt({ step, loss }: StepMetrics): string | undefined {
    const { plateauWithin: steps, languages } = this.context;
    if (steps === undefined || step > PLATEAU.until * steps) return undefined;
    const length = Math.max(PLATEAU.fewest, Math.ceil(PLATEAU.shareOfRun * steps));
    const losses = [...this.#lines.slice(1 - 2 * length).map((line) => line.loss), loss];
    if (losses.length < 2 * length) return undefined;
    // Losses that overflowed are left out; a mean of none is NaN, of which nothing is told.
    const meanOf = (values: number[]) => {
      const finite = values.filter(Number.isFinite);
      return finite.reduce((a, b) => a + b, 0) / finite.length;
    };
    const [before, now] = [meanOf(losses.slice(0, length)), meanOf(losses.slice(length))];
    const start = this.#lines.map((line) => line.loss).find(Number.isFinite) ?? NaN;
    const stays = now >= (1 - PLATEAU.fall) * before && now >= PLATEAU.left * start;
    if (!stays) return undefined;
    return `A plateau: over ${2 * length} steps the loss stays at ${now.toFixed(3)}` +
      `${languages === undefined ? "" : `. ${languages}`}. Steel-LLM's authors saw this when the ` +
      `languages of fine-tuning were not those of pretraining (arXiv 2502.06635). Try a mixture with ` +
      `shares nearer to those of pretraining, more warm-up, or another train.learningRate.`;
  }
}

/** Dead and dominating slots or experts, from what a validation measured of each layer. */
function routingAt(line: StepMetrics): string | undefined {
  const layers = (key: string, isBad: (value: number) => boolean) =>
    Object.keys(line).filter((name) => name.startsWith(`${key}.`) && isBad(line[name]))
      .map((name) => name.slice(key.length + 1));
  const dead = layers("leastUse", (use) => use < DEAD);
  const dominating = layers("mostUse", (use) => use > 1);
  if (dead.length === 0 && dominating.length === 0) return undefined;
  const parts = [
    ...(dead.length > 0 ? [`hardly ever used in ${layersInWords(dead)}`] : []),
    ...(dominating.length > 0 ? [`used for nearly all in ${layersInWords(dominating)}`] : []),
  ];
  return `Experts are used unevenly: one is ${parts.join(", and one is ")}. A sparse mixture may ` +
    `need a larger model.router_aux_loss_coef; a Soft MoE that gives one slot all the weight has a ` +
    `scale that has grown: try a lower train.learningRate or more train.weightDecay, or fewer experts.`;
}

function layersInWords(layers: readonly string[]): string {
  return `${layers.length === 1 ? "layer" : "layers"} ${layers.join(", ")}`;
}

/**
 * Whether memory nearly does not fit: what is said if less than a tenth of what a run takes is left.
 *
 * @param bytes that the run is still to take
 * @param free bytes that are free before; undefined where the host cannot tell, as of a GPU
 */
export function tightMemory(bytes: number, free: number | undefined): string | undefined {
  if (free === undefined || free - bytes > bytes / 10) return undefined;
  const percent = Math.round(100 * bytes / free);
  return `Memory nearly does not fit: the run takes ${percent} % of what is free. Another program may ` +
    `end it. Try --train.recompute=true, a smaller train.microBatch with more train.accumulation, ` +
    `or a shorter data.sequence.`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
