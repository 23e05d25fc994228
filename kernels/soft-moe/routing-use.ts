import { read, update } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import type { Gpu } from "../runtime/device.ts";
import { NO_SEQUENCE, type Spans } from "../layers/sequences.ts";
import { download, upload } from "../runtime/transfer.ts";
import { foldPartials } from "../wgsl/row-reduction.ts";

/** How the tokens of a layer were divided among its slots or experts, as means over tokens. */
export interface LayerUse {
  /** Entropy of a token's weights over that of even ones: 1 if all weigh alike, 0 if one has all. */
  readonly combineEntropy: number;
  /** The same of the tokens' weights in a slot; NaN where slots are not means of one sequence. */
  readonly dispatchEntropy: number;
  /** Each slot's or expert's share of the weights. */
  readonly shares: readonly number[];
}

/** Numbers of a layer before its shares: tokens, entropy, sequences, entropy of dispatch. */
const HEAD = 4;

/**
 * What tells dead and dominating experts: recorded beside a forward pass, it changes nothing in it.
 * Sums go on from one replay to the next until they are read.
 */
export class RoutingUse {
  readonly #sums: Tensor;
  /** The place of each layer, by a parameter of its own. */
  readonly #places = new Map<Tensor, number>();

  /**
   * Declares the sums in a graph.
   *
   * @param layers how many layers divide tokens
   * @param ways among how many slots or experts each of them does
   */
  constructor(
    private readonly graph: Graph,
    private readonly layers: number,
    private readonly ways: number,
  ) {
    this.#sums = graph.output("use of slots", [layers, HEAD + ways]);
  }

  /**
   * Records how a layer's tokens are divided; rows of padding do not count.
   *
   * @param layer a parameter by which the layer is told from the others
   * @param combine [tokens, ways] f32: the weights of each token, which add up to 1
   * @param dispatch [tokens, ways] f32: the weights of a sequence's tokens in each slot
   */
  count(layer: Tensor, combine: Tensor, { index, bounds }: Spans, dispatch?: Tensor): void {
    const { ways } = this;
    const place = this.#places.get(layer) ?? this.#places.size;
    this.#places.set(layer, place);
    const lanes = this.graph.capabilities.cpu ? 8 : 256;
    const first = (HEAD + ways) * place;
    const names = ["tokens", "entropy", "sequences", "spread"];
    this.graph.dispatch(
      "use of slots",
      {
        combine: read(combine),
        ...dispatch && { dispatched: read(dispatch), bounds: read(bounds, 2) },
        sequence: read(index),
        sums: update(this.#sums),
      },
      `
${names.map((name) => `var<workgroup> ${name}: array<f32, ${lanes}>;`).join("\n")}
var<workgroup> share: array<f32, ${lanes}>;

fn plogp(p: f32) -> f32 { return select(0f, -p * log(p), p > 0f); }

// A workgroup for each way; the first one also sums what is not of one way.
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let way = group.x;
  tokens[lane] = 0f; entropy[lane] = 0f; sequences[lane] = 0f; spread[lane] = 0f; share[lane] = 0f;
  for (var token = lane; token < ${combine.shape[0]}u; token += ${lanes}u) {
    if (sequence[token] == ${NO_SEQUENCE}u) { continue; }
    share[lane] += combine[token * ${ways}u + way];
    if (way > 0u) { continue; }
    tokens[lane] += 1f;
    for (var i = 0u; i < ${ways}u; i++) { entropy[lane] += plogp(combine[token * ${ways}u + i]); }
    ${
        dispatch
          ? `let limits = bounds[sequence[token]];
    if (limits.y - limits.x > 1u) {
      sequences[lane] += f32(limits.x == token);
      let even = ${ways}f * log(f32(limits.y - limits.x));
      for (var i = 0u; i < ${ways}u; i++) {
        spread[lane] += plogp(dispatched[token * ${ways}u + i]) / even;
      }
    }`
          : ""
      }
  }
  ${foldPartials([...names, "share"], lanes)}
  if (lane == 0u) {
    sums[${first + HEAD}u + way] += share[0];
    if (way == 0u) {
      ${names.map((name, i) => `sums[${first + i}u] += ${name}[0];`).join(" ")}
    }
  }
}`,
      [ways],
    );
  }

  /**
   * The means since the last call, layer by layer; none for a layer that no token has passed.
   *
   * @param total adds up over ranks, where each has seen a part of the tokens
   */
  async read(
    gpu: Gpu,
    total: (sums: Iterable<number>) => Promise<number[]> = (sums) => Promise.resolve([...sums]),
  ): Promise<LayerUse[]> {
    const { ways } = this;
    const sums = await total(await download(gpu, this.#sums));
    upload(gpu, this.#sums, new Float32Array(this.#sums.size));
    return Array.from({ length: this.layers }, (_, layer) => {
      const own = sums.slice((HEAD + ways) * layer, (HEAD + ways) * (layer + 1));
      const [tokens, entropy, sequences, spread] = own;
      return {
        combineEntropy: entropy / tokens / Math.log(ways),
        dispatchEntropy: sequences > 0 ? spread / sequences : NaN,
        shares: own.slice(HEAD).map((share) => share / tokens),
      };
    });
  }
}
