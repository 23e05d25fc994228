import { type Binding, numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import type { RowLists } from "../matmul/product.ts";

/**
 * The most that the gradient of the hidden states leaves out of the logits' gradient, as a share of a
 * row's probability. In a block of rows, a column stays if it is the label of one of the rows, or if
 * one of them gives it more than LEFT_OUT / vocabulary of probability: so the columns that are left
 * out have LEFT_OUT of a row's probability at most, whatever the model has learnt, and a model that
 * has learnt nothing keeps all. What a trained one leaves out is in `kernels/README.md`.
 *
 * After "Cut Your Losses in Large-Vocabulary Language Models" (Wijmans et al., arXiv 2411.09009),
 * which sorts the vocabulary and leaves out whole tiles below 2^-12. Single columns need no order.
 */
export const LEFT_OUT = 2 ** -1;

/** Rows that keep the same columns: those of a tile of the product on tensor cores. */
export const BLOCK_ROWS = 128;

/** Lists are filled up to a multiple of this, so that the product reads them in whole stages. */
const UNIT = 32;

/**
 * A bit for each column of each block of rows: whether it stays. None is set yet.
 *
 * @returns [blocks, ⌈vocabulary / 32⌉] u32
 */
export function columnMarks(graph: Graph, rows: number, vocabulary: number): Tensor {
  const blocks = Math.ceil(rows / BLOCK_ROWS);
  const marks = graph.tensor("column marks", [blocks, Math.ceil(vocabulary / 32)], "u32");
  graph.parallel("clear column marks", { marks: write(marks) }, "marks[i] = marks_type();");
  return marks;
}

/** Binds marks for a kernel that sets them. */
export function settable(marks: Tensor): Binding {
  return { ...update(marks), type: "atomic<u32>" };
}

/**
 * WGSL that marks what a row keeps of a vector of columns. In scope are `marks`, the `row`, its
 * `weight` in the loss, the index `i` of the vector, and the `probability` of its columns.
 */
export function markLikely(vocabulary: number): string {
  const vector = vectorOf(vocabulary);
  const { type, bits, word, shift } = bitsOf("row", "i", vocabulary);
  const threshold = `${numberType(vector)}(${LEFT_OUT / vocabulary}f)`;
  return `let likely = select(${type}(), ${bits}, probability > ${threshold});
    let found = ${vector === 1 ? "likely" : "likely.x | likely.y | likely.z | likely.w"};
    if (found != 0u && weight != 0f) { atomicOr(&marks[${word}], found << (${shift})); }`;
}

/** WGSL that marks a row's `label`. In scope are `marks`, the `row` and its `weight` in the loss. */
export function markLabel(vocabulary: number): string {
  const words = Math.ceil(vocabulary / 32);
  const word = `row / ${BLOCK_ROWS}u * ${words}u + label / 32u`;
  return `if (weight != 0f) { atomicOr(&marks[${word}], 1u << (label % 32u)); }`;
}

/** Where the bits of a vector of columns are, and what they are in its place. */
function bitsOf(row: string, index: string, vocabulary: number) {
  const vector = vectorOf(vocabulary);
  const words = Math.ceil(vocabulary / 32);
  const perWord = 32 / vector;
  return {
    type: vector === 1 ? "u32" : "vec4u",
    bits: vector === 1 ? "1u" : "vec4u(1u, 2u, 4u, 8u)",
    word: `${row} / ${BLOCK_ROWS}u * ${words}u + ${index} / ${perWord}u`,
    shift: `${index} % ${perWord}u * ${vector}u`,
  };
}

/**
 * Sets all columns to zero that do not stay.
 *
 * @param gradient [rows, vocabulary] f32 or f16
 */
export function clearOthers(gradient: Tensor, marks: Tensor): void {
  const [, vocabulary] = gradient.shape;
  const vector = vectorOf(vocabulary);
  const columns = vocabulary / vector;
  const { type, bits, word, shift } = bitsOf("row", "column", vocabulary);
  gradient.graph.elementwise(
    "clear other columns",
    gradient.size / vector,
    { gradient: update(gradient, vector), marks: read(marks) },
    `let row = i / ${columns}u;
    let column = i % ${columns}u;
    let stays = (${type}(marks[${word}] >> (${shift})) & ${bits}) != ${type}();
    gradient[i] = select(gradient_type(), gradient[i], stays);`,
    vector,
  );
}

/**
 * Lists the columns that stay, of each block in rising order.
 *
 * @returns lists filled up with column 0 to a multiple of 32
 */
export function listColumns(graph: Graph, marks: Tensor, vocabulary: number): RowLists {
  const [blocks, words] = marks.shape;
  const stride = Math.ceil(vocabulary / UNIT) * UNIT;
  const lists: RowLists = {
    // One unit more: a product reads ahead of the stage that it multiplies.
    rows: graph.tensor("kept columns", [blocks * stride + UNIT], "u32"),
    counts: graph.tensor("numbers of kept columns", [blocks], "u32"),
    blockRows: BLOCK_ROWS,
    stride,
  };
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const share = Math.ceil(words / lanes);
  graph.dispatch(
    "list kept columns",
    { marks: read(marks), columns: write(lists.rows), counts: write(lists.counts) },
    `
var<workgroup> found: array<u32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let end = min((lane + 1u) * ${share}u, ${words}u);
  var own = 0u;
  for (var word = lane * ${share}u; word < end; word++) {
    own += countOneBits(marks[group.x * ${words}u + word]);
  }
  found[lane] = own;
  workgroupBarrier();
  var at = group.x * ${stride}u;
  for (var i = 0u; i < lane; i++) { at += found[i]; }
  for (var word = lane * ${share}u; word < end; word++) {
    for (var bits = marks[group.x * ${words}u + word]; bits != 0u; bits &= bits - 1u) {
      columns[at] = word * 32u + countTrailingZeros(bits);
      at++;
    }
  }
  if (lane == ${lanes - 1}u) {
    let count = at - group.x * ${stride}u;
    counts[group.x] = count;
    for (; at % ${UNIT}u != 0u; at++) { columns[at] = 0u; }
  }
}`,
    [blocks],
  );
  return lists;
}

/**
 * Moves the columns that stay to the front of their rows, in the order of their list, and fills these
 * up with zeros as the lists are. What lies behind is of no use any more.
 *
 * @param gradient [rows, vocabulary] f32 or f16; the vocabulary is a multiple of 4
 */
export function moveToFront(gradient: Tensor, { rows: columns, counts, stride }: RowLists): void {
  const { graph, shape: [rows, vocabulary] } = gradient;
  const lanes = graph.capabilities.cpu ? 8 : 256;
  graph.dispatch(
    "move kept columns",
    { gradient: update(gradient, 4), columns: read(columns, 4), counts: read(counts) },
    `
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let block = group.x / ${BLOCK_ROWS}u;
  let count = counts[block];
  let filled = min((count + ${UNIT - 1}u) / ${UNIT}u * ${UNIT}u, ${vocabulary}u) / 4u;
  let row = group.x * ${vocabulary / 4}u;
  let list = block * ${stride / 4}u;
  for (var first = 0u; first < filled; first += ${lanes}u) {
    let i = first + lane;
    var kept = gradient_type();
    if (i < filled) {
      let source = columns[list + i];
      kept = gradient_type(
        gradient[row + source.x / 4u][source.x % 4u], gradient[row + source.y / 4u][source.y % 4u],
        gradient[row + source.z / 4u][source.z % 4u], gradient[row + source.w / 4u][source.w % 4u]);
      kept = select(gradient_type(), kept, vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(count));
    }
    // A column never moves back, so only what is read in the same turn can be overwritten.
    storageBarrier();
    if (i < filled) { gradient[row + i] = kept; }
  }
}`,
    [rows],
  );
}
