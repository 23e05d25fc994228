import type { Gpu } from "../../kernels/runtime/device.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import { head } from "../../kernels/loss/head.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { copy, download } from "../../kernels/runtime/transfer.ts";
import { type Batch, batchInputs } from "../network/batch.ts";
import type { Parameters } from "../network/parameters.ts";
import { logitsOf, transformer } from "../network/transformer.ts";

/** A planned pass over a batch that computes the rows which the head reads. */
export interface ForwardPass {
  readonly batch: Batch;
  /** [tokens, hidden], of the type that matrix products take. */
  readonly hidden: Tensor;
  readonly plan: Plan;
}

/** Plans a pass over `tokens` rows of at most `sequences` sequences. */
export async function planForward(
  gpu: Gpu,
  parameters: Parameters,
  tokens: number,
  sequences: number,
): Promise<ForwardPass> {
  const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
  const batch = batchInputs(graph, tokens, sequences);
  const hidden = graph.keep(transformer(batch, parameters));
  return { batch, hidden, plan: await new Draft(graph).build(gpu) };
}

/** A planned pass that computes the log-probability of each row's label. */
export interface ScoringPass {
  readonly batch: Batch;
  /** [tokens] u32, or IGNORED. */
  readonly labels: Tensor;
  /** [tokens] f32. */
  readonly logProbs: Tensor;
  readonly plan: Plan;
}

/** Plans a pass that scores labels. */
export async function planScoring(
  gpu: Gpu,
  parameters: Parameters,
  tokens: number,
  sequences: number,
): Promise<ScoringPass> {
  const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
  const batch = batchInputs(graph, tokens, sequences);
  const labels = graph.input("labels", [tokens], "u32");
  const logProbs = graph.keep(head(transformer(batch, parameters), parameters.head, labels));
  return { batch, labels, logProbs, plan: await new Draft(graph).build(gpu) };
}

/** The head alone, for a few rows at a time, as the logits of many rows would not fit. */
export class HeadPass {
  private constructor(
    private readonly gpu: Gpu,
    private readonly input: Tensor,
    private readonly logits: Tensor,
    private readonly plan: Plan,
  ) {}

  /** Plans the head for at most `rows` rows at a time. */
  static async plan(gpu: Gpu, parameters: Parameters, rows: number): Promise<HeadPass> {
    const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
    const input = graph.input("head rows", [rows, parameters.config.hiddenSize], graph.operand);
    const logits = graph.keep(graph.convert(logitsOf(input, parameters.head), "f32"));
    return new HeadPass(gpu, input, logits, await new Draft(graph).build(gpu));
  }

  /**
   * Logits of some rows of a forward pass.
   *
   * @param hidden [tokens, hidden] of a forward pass
   * @param rows any rows of it, in any order
   * @returns for each row in turn, [vocabulary] f32
   */
  async *logitsOf(hidden: Tensor, rows: readonly number[]): AsyncGenerator<Float32Array> {
    const [capacity, width] = this.input.shape;
    const vocabulary = this.logits.shape[1];
    for (let first = 0; first < rows.length; first += capacity) {
      const chunk = rows.slice(first, first + capacity);
      chunk.forEach((row, i) => copy(this.gpu, hidden, row * width, this.input, i * width, width));
      this.plan.run();
      const logits = await download(this.gpu, this.logits, 0, chunk.length * vocabulary);
      for (let i = 0; i < chunk.length; i++) {
        yield logits.subarray(i * vocabulary, (i + 1) * vocabulary);
      }
    }
  }

  /** Frees its memory. */
  destroy(): void {
    this.plan.destroy();
  }
}
