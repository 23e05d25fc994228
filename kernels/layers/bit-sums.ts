import type { Gpu } from "../runtime/device.ts";
import { read, write } from "../runtime/dispatch.ts";
import { Graph, type Tensor } from "../runtime/graph.ts";
import { Draft } from "../runtime/plan.ts";
import { bytesOf } from "../runtime/storage.ts";
import { downloadWords } from "../runtime/transfer.ts";
import { foldPartials } from "../wgsl/row-reduction.ts";

/** Words of 4 bytes that one workgroup sums up. */
const SHARE = 1 << 16;
/** Workgroups of a dispatch, each with a sum of its own. */
const GROUPS = 256;

/**
 * Sums over the bits of tensors, the same on every device: whoever changes one element changes a sum,
 * and whoever changes several most likely does.
 *
 * A sum is that of mixed words, modulo 2^32: each word plus its place times an odd constant goes
 * through the finalizer of MurmurHash3 (Austin Appleby, public domain), which maps no two words to
 * the same one.
 *
 * @param tensors f32, f16 or u32, in an order that never changes
 * @returns u32, an output: 256 sums for each 2^24 words of a tensor
 */
export function bitSums(graph: Graph, tensors: readonly Tensor[]): Tensor {
  const pieces = tensors.flatMap(piecesOf);
  const sums = graph.output("bit sums", [pieces.length * GROUPS], "u32");
  for (const [index, piece] of pieces.entries()) {
    const own = { first: index * GROUPS, count: GROUPS };
    graph.dispatch(
      "bit sums",
      { words: { ...piece, type: "u32" }, sums: write(sums, 1, own) },
      bitSumsCode(graph.capabilities.cpu ? 8 : 256),
      [GROUPS],
    );
  }
  return sums;
}

/** The same, computed and read. */
export async function readBitSums(gpu: Gpu, tensors: readonly Tensor[]): Promise<Uint32Array> {
  const graph = new Graph(gpu.capabilities);
  const sums = bitSums(graph, tensors);
  const plan = await new Draft(graph).build(gpu);
  plan.run();
  const words = await downloadWords(gpu, sums);
  plan.destroy();
  return words;
}

/** Each tensor in pieces of as many words as a dispatch sums up: a device binds no whole large one. */
function piecesOf(tensor: Tensor) {
  const most = SHARE * GROUPS * 4 / bytesOf[tensor.dtype];
  return Array.from({ length: Math.ceil(tensor.size / most) }, (_, index) => {
    const first = index * most;
    return read(tensor, 1, { first, count: Math.min(most, tensor.size - first) });
  });
}

function bitSumsCode(lanes: number): string {
  return `
var<workgroup> partial: array<u32, ${lanes}>;

fn mixed(word: u32) -> u32 {
  let a = (word ^ (word >> 16u)) * 0x85ebca6bu;
  let b = (a ^ (a >> 13u)) * 0xc2b2ae35u;
  return b ^ (b >> 16u);
}

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let end = min((group.x + 1u) * ${SHARE}u, arrayLength(&words));
  var sum = 0u;
  for (var i = group.x * ${SHARE}u + lane; i < end; i += ${lanes}u) {
    sum += mixed(words[i] + i * 0x9e3779b1u);
  }
  partial[lane] = sum;
  ${foldPartials(["partial"], lanes)}
  if (lane == 0u) { sums[group.x] = partial[0]; }
}`;
}
