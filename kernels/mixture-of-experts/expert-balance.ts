import { read, update, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { NO_SEQUENCE, type Sequences } from "../layers/sequences.ts";
import { foldPartials } from "../wgsl/row-reduction.ts";

/** The mixtures of a network whose experts are to be chosen evenly. */
export interface BalancedExperts {
  /** Layers that are mixtures of experts. */
  readonly layers: number;
  /** Experts of a layer. */
  readonly experts: number;
  /** Experts of a token. */
  readonly perToken: number;
}

/**
 * The loss that keeps a router from sending all tokens to the same experts (Fedus et al., arXiv
 * 2101.03961), as transformers computes it for Mixtral and Qwen2-MoE: experts · Σ over experts of
 * share · probability. `share` is how often a token chooses the expert, `probability` the mean of what
 * the router gives it; both are means over the tokens of all layers together. The shares have no
 * gradient.
 *
 * Every layer leaves its sums in a place of its own, where recording it again changes nothing. When
 * the last one has, {@linkcode ExpertBalance.finish} computes the loss, and its slope by each
 * probability, which the layers' gradients read.
 */
export class ExpertBalance {
  /** [2] f32: the weight of the loss in the gradients, and in what is reported. */
  readonly weights: Tensor;
  /** [layers, 2, experts] f32: of each expert the times it was chosen and the sum of probabilities. */
  readonly #use: Tensor;
  /** [experts] f32: slope of the weighted loss by an expert's probability for a token. */
  readonly slopes: Tensor;
  /** The place of each layer's router. */
  readonly #places = new Map<Tensor, number>();

  /** Declares the loss in a graph that is recorded for training. */
  constructor(private readonly graph: Graph, private readonly sizes: BalancedExperts) {
    const { layers, experts } = sizes;
    this.weights = graph.input("balance weights", [2]);
    this.#use = graph.output("use of experts", [layers, 2, experts]);
    this.slopes = graph.output("balance slopes", [experts]);
  }

  /**
   * Records how a layer's tokens use its experts; rows of padding do not count.
   *
   * @param router the layer's own parameter, by which it is told from the others
   * @param probabilities [tokens, experts] f32
   * @param chosen [tokens, perToken] u32
   */
  count(router: Tensor, probabilities: Tensor, chosen: Tensor, sequences: Sequences): void {
    const { experts, perToken } = this.sizes;
    const place = this.#places.get(router) ?? this.#places.size;
    this.#places.set(router, place);
    const lanes = this.graph.capabilities.cpu ? 8 : 256;
    this.graph.dispatch(
      "use of experts",
      {
        probabilities: read(probabilities),
        chosen: read(chosen),
        sequence: read(sequences.index),
        expert_use: update(this.#use),
      },
      `
var<workgroup> counts: array<f32, ${lanes}>;
var<workgroup> sums: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let expert = group.x;
  var count = 0f;
  var sum = 0f;
  for (var token = lane; token < ${chosen.shape[0]}u; token += ${lanes}u) {
    if (sequence[token] == ${NO_SEQUENCE}u) { continue; }
    sum += probabilities[token * ${experts}u + expert];
    for (var i = 0u; i < ${perToken}u; i++) {
      count += f32(chosen[token * ${perToken}u + i] == expert);
    }
  }
  counts[lane] = count;
  sums[lane] = sum;
  ${foldPartials(["counts", "sums"], lanes)}
  if (lane == 0u) {
    expert_use[${2 * experts * place}u + expert] = counts[0];
    expert_use[${2 * experts * place + experts}u + expert] = sums[0];
  }
}`,
      [experts],
    );
  }

  /** Records the loss, added to `loss` [1], and its slopes: behind all layers, before their gradients. */
  finish(loss: Tensor): void {
    const { layers, experts, perToken } = this.sizes;
    this.graph.elementwise(
      "balance of experts",
      1,
      {
        expert_use: read(this.#use),
        weights: read(this.weights),
        slopes: write(this.slopes),
        loss: update(loss),
      },
      `var all = 0f;
    for (var layer = 0u; layer < ${layers}u; layer++) {
      for (var expert = 0u; expert < ${experts}u; expert++) {
        all += expert_use[2u * layer * ${experts}u + expert];
      }
    }
    // Tokens of all layers; a micro-batch without any has no loss.
    let tokens = max(all / ${perToken}f, 1f);
    var sum = 0f;
    for (var expert = 0u; expert < ${experts}u; expert++) {
      var count = 0f;
      var probability = 0f;
      for (var layer = 0u; layer < ${layers}u; layer++) {
        count += expert_use[2u * layer * ${experts}u + expert];
        probability += expert_use[(2u * layer + 1u) * ${experts}u + expert];
      }
      sum += count / tokens * probability / tokens;
      slopes[expert] = weights[0] * ${experts}f * count / tokens / tokens;
    }
    loss[0] += weights[1] * ${experts}f * sum;`,
    );
  }
}
