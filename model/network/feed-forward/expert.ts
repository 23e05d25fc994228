/**
 * The two-layer network that feed-forward layers are made of: one of them is a dense layer, several
 * are the experts of a mixture.
 *
 * @module
 */
import { linear } from "../../../kernels/layers/linear.ts";
import { geglu, swiglu } from "../../../kernels/layers/activations.ts";
import type { Tensor } from "../../../kernels/runtime/graph.ts";
import { atLeastOne } from "../../number-range.ts";
import type { ConfigReader } from "../config-reader.ts";
import {
  ofLinear,
  operand,
  type Parameter,
  stacked,
  type StackedParameters,
  weight,
  type Weights,
} from "../layer.ts";

/** A product of rows with the matrices of experts, each expert's rows with its own. */
export type Product = (x: Tensor, weight: Tensor) => Tensor;

/** What an expert computes, and how its matrices are called. */
export interface ExpertKind {
  /** Published names of its matrices [inner, hidden], of which the first is the gate. */
  readonly up: readonly string[];
  /** Those of its matrices [hidden, inner]; the first of two is a gate as well. */
  readonly down: readonly string[];
  /** All experts at once, each on its own rows: [..., hidden] to [..., hidden]. */
  forward(x: Tensor, weights: Weights<"up" | "down">, product: Product): Tensor;
}

/** SwiGLU (Shazeer, arXiv 2002.05202): h = silu(W_gate x) ⊙ (W_up x), y = W_down h. */
export const usualSwiGlu: ExpertKind = {
  up: ["gate_proj", "up_proj"],
  down: ["down_proj"],
  forward: (x, { up, down }, product) => product(swiglu(product(x, up)), down),
};

/** The same with gelu, by its tanh formula, in place of silu. */
export const tanhGeGlu: ExpertKind = {
  ...usualSwiGlu,
  forward: (x, { up, down }, product) => product(geglu(product(x, up)), down),
};

/**
 * SwiGLU on both layers (Steel-LLM, arXiv 2502.06635): h = silu(W_gate_up x) ⊙ (W_up x),
 * y = silu(W_gate_down h) ⊙ (W_down h).
 */
const swiGluOnBothLayers: ExpertKind = {
  up: ["gate_up_proj", "up_proj"],
  down: ["gate_down_proj", "down_proj"],
  forward: (x, { up, down }, product) => swiglu(product(swiglu(product(x, up)), down)),
};

/** Steel-LLM's kinds of expert by the value of `mlp_type` that chooses them. */
const EXPERT_KINDS = { senet: swiGluOnBothLayers, raw: usualSwiGlu };

/** The keys of Steel-LLM's `config.json` that describe an expert. */
export const expertKeys = {
  intermediate_size: { meaning: "inner size of the feed-forward layer", ...atLeastOne },
  mlp_type: {
    meaning: "expert: SwiGLU on both of its layers, or the usual SwiGLU",
    choices: Object.keys(EXPERT_KINDS),
  },
  mlp_div_ratio: {
    meaning: "inner size of an expert is intermediate_size divided by this",
    ...atLeastOne,
  },
};

/** An expert of a kind and size. */
export class Expert {
  constructor(
    private readonly kind: ExpertKind,
    private readonly hiddenSize: number,
    private readonly innerSize: number,
  ) {}

  /**
   * The expert that a config of Steel-LLM describes, with the inner width
   * floor(intermediate_size / mlp_div_ratio).
   *
   * @param isOptional whether a config may leave out all that a plain Qwen2 config does not have
   * @throws UserError for a missing or wrong value
   */
  static read(read: ConfigReader, hiddenSize: number, { isOptional = false } = {}): Expert {
    read.only("hidden_act", ["silu"]);
    const { mlp_type: { choices }, mlp_div_ratio } = expertKeys;
    const size = read.number("intermediate_size", expertKeys.intermediate_size);
    const ratio = read.number("mlp_div_ratio", mlp_div_ratio, isOptional ? 1 : undefined);
    if (size < ratio) read.refuse("mlp_div_ratio", `at most intermediate_size (${size})`);
    const name = read.choice("mlp_type", choices, isOptional ? "raw" : undefined);
    const kind = EXPERT_KINDS[name as keyof typeof EXPERT_KINDS];
    return new Expert(kind, hiddenSize, Math.floor(size / ratio));
  }

  /** Its parameters, with a prefix to their names. */
  parameters(prefix = ""): Parameter[] {
    const { kind, hiddenSize, innerSize } = this;
    const named = (name: string) => `${prefix}${name}.weight`;
    return [
      ...kind.up.map((name) => weight(named(name), innerSize, hiddenSize)),
      ...kind.down.map((name) => weight(named(name), hiddenSize, innerSize)),
    ];
  }

  /**
   * The tensors of several experts: `up` [experts, 2 · inner, hidden] and `down` [experts, hidden,
   * inner], or [experts, 2 · hidden, inner] with a second gate.
   *
   * @param experts the parameters of each
   * @param inputType what the experts compute in
   * @param product what multiplies rows with them
   */
  tensors(
    experts: readonly (readonly Parameter[])[],
    inputType: "f32" | "operand",
    product: "linear" | "groupedLinear",
  ): Record<"up" | "down", StackedParameters> {
    const { kind: { up, down }, hiddenSize, innerSize } = this;
    const stack: typeof operand = (shape, ...parameters) => {
      const tensor = (inputType === "operand" ? operand : stacked)(shape, ...parameters);
      return product === "linear" ? ofLinear(tensor) : tensor;
    };
    return {
      up: stack(
        [experts.length, up.length * innerSize, hiddenSize],
        ...experts.flatMap((parameters) => parameters.slice(0, up.length)),
      ),
      down: stack(
        [experts.length, down.length * hiddenSize, innerSize],
        ...experts.flatMap((parameters) => parameters.slice(up.length)),
      ),
    };
  }

  /** Floating-point operations of one row. */
  get flopsPerRow(): number {
    const matrices = this.kind.up.length + this.kind.down.length;
    return 2 * matrices * this.hiddenSize * this.innerSize;
  }

  /**
   * All experts at once, each on its own rows.
   *
   * @param x [rows, hidden] for one expert, [experts, ..., hidden] for several
   * @param product which rows are which expert's; as many in order for each when left out
   * @returns of the same shape
   */
  forward(x: Tensor, weights: Weights<"up" | "down">, product: Product = linear): Tensor {
    return this.kind.forward(x, weights, product);
  }
}
