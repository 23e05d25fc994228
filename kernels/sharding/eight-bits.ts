/**
 * Numbers as they travel in int8, in blocks of 128: each is q · s, with a whole q from -127 to 127 and
 * one s for the block. A section has a word for four q, the first one lowest, for all of its blocks;
 * then a word for each block's s, the bits of an f32.
 *
 * s has 17 significant bits, so that q · s is exact in f32, and what it is added to comes out the same
 * with or without fused multiply-add: all ranks get the same bits. An s of 0 stands for a block of
 * numbers too small to be told from zero; NaN, for one with a number that is not finite.
 */
import { update, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { range } from "../wgsl/range.ts";
import { type ChunkSection, GRAIN } from "./shards.ts";

/** Lanes for a block. */
const LANES = 8;
/** Vectors of four elements in a block. */
const VECTORS = GRAIN / 4;
/** Blocks that one workgroup packs. */
const BLOCKS = 32;

/** Bits of 2^-126, below which numbers may be flushed to zero, and of infinity. */
const LEAST = "0x00800000u";
const INFINITE = "0x7f800000u";

/** WGSL: the bits of a block's scale. By integers, as a compiler may assume that no number is NaN. */
const SCALE = `
fn scale_bits(largest: u32) -> u32 {
  let rounded_up = (bitcast<u32>(bitcast<f32>(largest) * (1f / 127f)) + 0x7fu) & 0xffffff80u;
  return select(select(0u, rounded_up, rounded_up >= ${LEAST}), 0x7fc00000u, largest >= ${INFINITE});
}`;

/** WGSL of the four numbers of a word. */
export function unpackedEightBits(word: string, scale: string): string {
  return `vec4f(bitcast<vec4i>(vec4u(${word}) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)) *
      bitcast<f32>(${scale})`;
}

/** WGSL of the words of vector `i` and of its scale, both of a section that begins at element `first`. */
export function eightBitsAt(words: string, { count }: ChunkSection, first = 0): [string, string] {
  return [`${words}[i + ${first}u]`, `${words}[i / ${VECTORS}u + ${first + count / 4}u]`];
}

/**
 * Records that a section is written into words in int8, and set to zero.
 *
 * @param numbers f32
 * @param words u32; the section takes its own place
 */
export function packEightBits(
  graph: Graph,
  section: ChunkSection,
  numbers: Tensor,
  words: Tensor,
): void {
  packBlocks(graph, "pack int8", section, numbers, words);
}

/**
 * Records that an update in a section of a gradient is rounded to int8, written into words, added to
 * the weights as others will add it, and set to zero. The weights' copy in f16 is made anew.
 *
 * @param words u32; the section takes its own place
 */
export function packAndApply(graph: Graph, section: ChunkSection, words: Tensor): void {
  const { tensor } = section;
  packBlocks(graph, "round and apply update", section, tensor.gradient!, words, tensor);
}

/**
 * Every lane holds a few vectors of its block. One barrier is enough to know the block's largest
 * number: each lane looks at what all of the block have found.
 *
 * @param weights what the numbers are added to, as they will be read, if anything
 */
function packBlocks(
  graph: Graph,
  label: string,
  section: ChunkSection,
  numbers: Tensor,
  words: Tensor,
  weights?: Tensor,
): void {
  const { count, word } = section;
  const half = weights?.half;
  const blocks = count / GRAIN;
  const forEachPart = (text: (part: number, i: string) => string) =>
    range(VECTORS / LANES)
      .map((part) => text(part, `first + ${part * LANES}u`))
      .join("\n  ");
  const [packed, scale] = eightBitsAt("words", section);
  graph.dispatch(
    label,
    {
      numbers: update(numbers, 4, section),
      words: write(words, 1, { first: word, count: section.words }),
      ...(weights && { weights: update(weights, 4, section) }),
      ...(half && { half: write(half, 4, section) }),
    },
    // Everything is loaded before the barrier, so that no load waits for another.
    `
var<workgroup> found: array<array<u32, ${LANES}>, ${BLOCKS}>;
${SCALE}

@compute @workgroup_size(${LANES}, ${BLOCKS})
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let block = group.x * ${BLOCKS}u + local.y;
  let first = block * ${VECTORS}u + local.x;
  let is_inside = block < ${blocks}u;
  ${forEachPart((part) => `var x${part} = vec4f(); ${weights ? `var old${part} = vec4f();` : ""}`)}
  if (is_inside) {
  ${
      forEachPart((part, i) =>
        `x${part} = numbers[${i}]; ${weights ? `old${part} = weights[${i}];` : ""}`
      )
    }
  }
  var magnitude = vec4u();
  ${
      forEachPart((part) =>
        `magnitude = max(magnitude, bitcast<vec4u>(x${part}) & vec4u(0x7fffffffu));`
      )
    }
  let pair = max(magnitude.xy, magnitude.zw);
  found[local.y][local.x] = max(pair.x, pair.y);
  workgroupBarrier();
  if (!is_inside) { return; }
  var largest = 0u;
  for (var lane = 0u; lane < ${LANES}u; lane++) { largest = max(largest, found[local.y][lane]); }
  let bits = scale_bits(largest);
  let scale = bitcast<f32>(bits);
  var inverse = 0f;
  if (bits != 0u) { inverse = 1f / scale; }
  ${
      forEachPart((part, i) =>
        `{
    let i = ${i};
    let q = vec4i(clamp(round(x${part} * inverse), vec4f(-127f), vec4f(127f)));
    let bytes = bitcast<vec4u>(q) & vec4u(0xffu);
    ${packed} = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
    numbers[i] = vec4f();
    ${weights ? `let new_weights = old${part} + vec4f(q) * scale; weights[i] = new_weights;` : ""}
    ${half ? "half[i] = half_type(new_weights);" : ""}
  }`
      )
    }
  if (local.x == 0u) { let i = first; ${scale} = bits; }
}`,
    [Math.ceil(blocks / BLOCKS)],
  );
}
