import { range } from "../../wgsl/range.ts";
import type { AttentionKernel, TensorCoreAttention } from "./attention-kernel.ts";
import { LANES } from "./attention-partition.ts";

/**
 * WGSL of `row_dot[head, token] = Σ output · output_gradient`, which gradients of scores subtract.
 * Bindings: `output` and `output_gradient`, f16 [tokens, heads * headDim] bound as
 * `array<vec4<u32>>`, and `row_dot` f32 [heads, tokens].
 */
export function attentionRowDot(options: TensorCoreAttention): AttentionKernel {
  const { tokens, heads, headDim } = options;
  const vectors = headDim / 8;
  // Lanes that share a head of a token, a vector each.
  const lanes = 2 ** Math.ceil(Math.log2(vectors));
  const steps = range(Math.log2(lanes)).map((step) => 1 << step);
  const code = `

@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let head = id.x / ${lanes}u;
  let lane = id.x % ${lanes}u;
  var sum = 0.0;
  if (lane < ${vectors}u && head < ${heads}u) {
    let a = output[(id.y * ${heads}u + head) * ${vectors}u + lane];
    let b = output_gradient[(id.y * ${heads}u + head) * ${vectors}u + lane];
    for (var i = 0u; i < 4u; i++) { sum += dot(unpack2x16float(a[i]), unpack2x16float(b[i])); }
  }
  ${steps.map((step) => `sum += subgroupShuffleXor(sum, ${step}u);`).join("\n  ")}
  if (lane == 0u && head < ${heads}u) { row_dot[head * ${tokens}u + id.y] = sum; }
}`;
  return { code, workgroups: [Math.ceil(heads * lanes / LANES), tokens] };
}
