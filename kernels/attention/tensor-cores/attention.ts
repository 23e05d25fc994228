import { type AttentionVariant, scoreFlops } from "../variant.ts";
import { MATRIX_DIRECTIVES } from "../../wgsl/matrix-directives.ts";
import { type Binding, read, update, write } from "../../runtime/dispatch.ts";
import type { Graph, Tensor } from "../../runtime/graph.ts";
import { range } from "../../wgsl/range.ts";
import type { HeadLayout } from "../../layers/rope.ts";
import { keyValueGradient } from "./attention-key-value-gradient-text.ts";
import type {
  AttentionGradients,
  AttentionKernel,
  TensorCoreAttention,
} from "./attention-kernel.ts";
import { queryGradient } from "./attention-query-gradient-text.ts";
import { attentionRowDot } from "./attention-row-dot-text.ts";
import { ScoreGradients } from "./attention-score-gradients.ts";
import { tensorCoreAttentionForward } from "./attention-forward-text.ts";

/** Widest head of which a subgroup can hold its rows' sums in registers. */
const WIDEST_HEAD = 128;

/** The most bytes of gradients of scores that exist at a time: half of Steel-LLM's heads at 8 × 2048. */
const SCORE_GRADIENT_BYTES = 1280 * 1024 * 1024;

/** Whether attention can be computed on tensor cores. */
export function attendsOnTensorCores(
  { capabilities }: Graph,
  { dtype }: Tensor,
  { headDim }: HeadLayout,
) {
  return capabilities.tensorCores && dtype === "f16" && headDim % 8 === 0 &&
    headDim <= WIDEST_HEAD;
}

export const onTensorCores: AttentionVariant = {
  forward({ qkv, y, logSumExp }, { starts, longest }, layout) {
    const options = optionsOf(qkv, layout, longest);
    launch(qkv.graph, "attention", tensorCoreAttentionForward(options), {
      qkv: eights(read(qkv, 4)),
      sequence_start: read(starts),
      output: eights(write(y, 4)),
      log_sum_exp: write(logSumExp),
    }, 2 * scoreFlops(options, options.heads));
  },
  backward({ qkv, y, logSumExp }, { starts, ends, longest }, layout, dy, dqkv) {
    const graph = qkv.graph;
    const options = optionsOf(qkv, layout, longest);
    const rowDot = graph.tensor("attention.rowDot", logSumExp.shape);
    launch(graph, "attention row dot", attentionRowDot(options), {
      output: eights(read(y, 4)),
      output_gradient: eights(read(dy, 4)),
      row_dot: write(rowDot),
    });
    for (const heads of chunksOf(graph, options)) {
      const queryHeads = heads.sharedHeads * layout.heads / layout.keyValueHeads;
      const changes = graph.tensor("score gradients", [new ScoreGradients(heads).size], "f16");
      launch(graph, "attention dKV", keyValueGradient(heads), {
        qkv: eights(read(qkv, 4)),
        output_gradient: eights(read(dy, 4)),
        log_sum_exp: read(logSumExp),
        row_dot: read(rowDot),
        sequence_end: read(ends),
        score_gradients: eights(write(changes, 4)),
        qkv_gradient: eights((heads.firstSharedHead === 0 ? write : update)(dqkv, 4)),
      }, 4 * scoreFlops(options, queryHeads));
      launch(graph, "attention dQ", queryGradient(heads), {
        qkv: eights(read(qkv, 4)),
        score_gradients: eights(read(changes, 4)),
        sequence_start: read(starts),
        qkv_gradient: eights(update(dqkv, 4)),
      }, scoreFlops(options, queryHeads));
    }
  },
};

/** As few groups of heads as leave each few enough gradients of scores. */
function chunksOf(
  { capabilities }: Graph,
  options: TensorCoreAttention,
): AttentionGradients[] {
  const { keyValueHeads } = options;
  const most = Math.min(SCORE_GRADIENT_BYTES, capabilities.maxBindingBytes);
  const bytes = 2 * new ScoreGradients({ ...options, sharedHeads: 1 }).size;
  const chunks = Math.ceil(keyValueHeads / Math.max(1, Math.floor(most / bytes)));
  const sharedHeads = Math.ceil(keyValueHeads / chunks);
  return range(Math.ceil(keyValueHeads / sharedHeads)).map((chunk) => {
    const firstSharedHead = chunk * sharedHeads;
    return {
      ...options,
      firstSharedHead,
      sharedHeads: Math.min(sharedHeads, keyValueHeads - firstSharedHead),
    };
  });
}

function optionsOf(
  { shape: [tokens] }: Tensor,
  { heads, keyValueHeads, headDim }: HeadLayout,
  longest: number,
): TensorCoreAttention {
  return { tokens, heads, keyValueHeads, headDim, longest };
}

/** Binds f16 as vectors of eight. */
function eights(binding: Binding): Binding {
  return { ...binding, type: "vec4<u32>" };
}

function launch(
  graph: Graph,
  label: string,
  { code, extensions = [], workgroups }: AttentionKernel,
  bindings: Record<string, Binding>,
  flops = 0,
): void {
  const directives = [...extensions, ...MATRIX_DIRECTIVES];
  graph.dispatch(label, bindings, code, workgroups, { directives, flops });
}
