import { type Binding, numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { bf16Bits } from "../wgsl/bf16.ts";
import { eightBitsAt, packEightBits, unpackedEightBits } from "./eight-bits.ts";
import { type ChunkSection, roundUpTo, SECTION_WORDS } from "./shards.ts";

/** WGSL of four numbers in two words of bf16. */
function unpackedBf16(words: string): string {
  return `bitcast<vec4f>((${words}.xxyy << vec4u(16u, 0u, 16u, 0u)) & vec4u(0xffff0000u))`;
}

/**
 * WGSL of number or vector `i` of a section, where it has travelled to.
 *
 * @param words name of a binding, {@linkcode asTravelling}
 * @param first word of it with which the section begins
 */
function travelled(words: string, section: ChunkSection, first = 0): string {
  const { type, count } = section;
  if (type === "int8") return unpackedEightBits(...eightBitsAt(words, section, first));
  if (type === "bf16") return unpackedBf16(`${words}[i + ${first / 2}u]`);
  return `${words}[i + ${first / vectorOf(count)}u]`;
}

/**
 * Records that a section of a gradient is written into words as it travels, and set to zero.
 *
 * @param gradient f32
 * @param words u32; the section takes its own place
 */
export function packSection(
  graph: Graph,
  section: ChunkSection,
  gradient: Tensor,
  words: Tensor,
): void {
  const { count, type, word } = section;
  if (type === "int8") return packEightBits(graph, section, gradient, words);
  const vector = vectorOf(count);
  const place = { first: word, count: section.words };
  graph.elementwise(
    `pack ${type}`,
    count / vector,
    {
      gradient: update(gradient, vector, section),
      words: asTravelling(write(words, 1, place), section),
    },
    type === "f32" ? "words[i] = gradient[i]; gradient[i] = number();" : `
    let bits = bitcast<vec4u>(gradient[i]);
    let rounded = ${bf16Bits("bits")};
    words[i] = vec2u(rounded.x | (rounded.y << 16u), rounded.z | (rounded.w << 16u));
    gradient[i] = number();`,
    vector,
  );
}

/** Words from one rank's part of a section to the next one's, where all are together. */
export function partWords({ words }: ChunkSection): number {
  return roundUpTo(SECTION_WORDS, words);
}

/**
 * Records that all ranks' parts of a section of a gradient are added up, in the order of ranks: this
 * rank's own is in the gradient, those of the others are together in words.
 *
 * @param gradient f32, overwritten by the sum
 * @param received u32; the parts of the section begin at `ranks - 1` times its own first word
 */
export function addInOrder(
  graph: Graph,
  section: ChunkSection,
  gradient: Tensor,
  received: Tensor,
  { rank, size }: { readonly rank: number; readonly size: number },
): void {
  const { count, type, word } = section;
  const vector = vectorOf(count);
  const place = { first: word * (size - 1), count: partWords(section) * (size - 1) };
  const terms = Array.from({ length: size }, (_, of) => {
    if (of === rank) return "sum += gradient[i];";
    const place = of < rank ? of : of - 1;
    return `sum += ${travelled("received", section, place * partWords(section))};`;
  });
  graph.elementwise(
    `add ${type} of ${size} ranks`,
    count / vector,
    {
      gradient: update(gradient, vector, section),
      received: asTravelling(read(received, 1, place), section),
    },
    `var sum = number();
    ${terms.join("\n    ")}
    gradient[i] = sum;`,
    vector,
  );
}

/**
 * Records that an update which came in bf16 or int8 is added to a section of a tensor.
 *
 * @param value f32
 * @param received u32
 * @param first word of the chunk that the section is in
 */
export function addUpdate(
  graph: Graph,
  section: ChunkSection,
  value: Tensor,
  received: Tensor,
  first: number,
): void {
  const { count, word, words } = section;
  graph.elementwise(
    "add update",
    count / 4,
    {
      value: update(value, 4, section),
      received: asTravelling(read(received, 1, { first: first + word, count: words }), section),
    },
    `value[i] += ${travelled("received", section)};`,
    4,
  );
}

/** Records that the copy in f16 of a section is made anew. */
export function fillHalf(graph: Graph, section: ChunkSection): void {
  const { tensor, count } = section;
  const vector = vectorOf(count);
  graph.elementwise(
    "half weights",
    count / vector,
    { value: read(tensor, vector, section), half: write(tensor.half!, vector, section) },
    "half[i] = half_type(value[i]);",
    vector,
  );
}

/** Words, seen as what travels in them. */
function asTravelling(binding: Binding, { count, type }: ChunkSection): Binding {
  if (type === "int8") return { ...binding, type: "u32" };
  return { ...binding, type: type === "bf16" ? "vec2u" : numberType(vectorOf(count)) };
}
