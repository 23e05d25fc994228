import { numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { total } from "../wgsl/row-reduction.ts";
import { unrolledLoop } from "../wgsl/unrolled-loop.ts";

/** Interleaved parts of a row; each has its own workgroup. */
const PARTS = 64;
/**
 * The most tokens of a row that are kept. A token is kept if it is not below the lowest of the
 * parts' maxima. That takes as many of the likeliest tokens as it takes until every part has had
 * one: about 64 · (ln 64 + 0.58) ≈ 300, where likely tokens are spread evenly over the parts. A
 * vocabulary of this size or less is kept whole.
 */
const CAPACITY = 1024;
/** u32 of a row's result: number of kept tokens, a sum for each part, id and logit of each token. */
export const FOUND_WORDS = 1 + PARTS + 2 * CAPACITY;
/** Stands for no logit: a token that has it is never chosen. */
export const SUPPRESSED = -3e38;

/** The likeliest tokens of a row, in no order; every other token's logit is lower. */
export interface Likeliest {
  readonly ids: Uint32Array;
  readonly logits: Float32Array;
  /** Σ over the whole row of exp((logit − highest) / temperature), in f32's precision. */
  readonly total: number;
}

/**
 * The likeliest token of each row, the first among equals.
 *
 * @param logits [rows, vocabulary] f32
 * @param ids [rows] u32, written
 */
export function likeliestToken(logits: Tensor, ids: Tensor): void {
  const { graph, shape: [rows, vocabulary] } = logits;
  const vector = vectorOf(vocabulary);
  const columns = vocabulary / vector;
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const all = { first: "lane", end: `${columns}u`, step: lanes };
  graph.dispatch(
    "likeliest token",
    { logits: read(logits, vector), ids: write(ids) },
    `
var<workgroup> highest: array<f32, ${lanes}>;
var<workgroup> places: array<u32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let start = group.x * ${columns}u;
  var best = ${SUPPRESSED}f;
  var place = 0u;
  ${
      unrolledLoop(
        graph.capabilities,
        "i",
        all,
        `let value = ${highestOf("logits[start + i]", vector)};
      if (value > best) { best = value; place = i; }`,
      )
    }
  highest[lane] = best;
  places[lane] = place;
  workgroupBarrier();
  if (lane > 0u) { return; }
  for (var i = 1u; i < ${lanes}u; i++) {
    if (highest[i] > best || (highest[i] == best && places[i] < place)) {
      best = highest[i];
      place = places[i];
    }
  }
  var id = place * ${vector}u;
  ${vector === 1 ? "" : "while (id % 4u < 3u && logits[start + place][id % 4u] < best) { id++; }"}
  ids[group.x] = id;
}`,
    [rows],
  );
}

/**
 * The likeliest tokens of each row, for {@linkcode likeliestOf} to read: at least 64 of a large
 * vocabulary. Where they are too many, as in a row of equal logits, only their number is written.
 *
 * @param logits [rows, vocabulary] f32
 * @param found [rows, {@linkcode FOUND_WORDS}] u32, written
 * @param coldness [rows] f32: of each row's sum of exponentials, by {@linkcode coldnessOf}
 */
export function likeliestTokens(logits: Tensor, found: Tensor, coldness: Tensor): void {
  const { graph, shape: [rows, vocabulary] } = logits;
  const vector = vectorOf(vocabulary);
  const columns = vocabulary / vector;
  const lanes = graph.capabilities.cpu ? 8 : 32;
  const part = { first: `group.x * ${lanes}u + lane`, end: `${columns}u`, step: lanes * PARTS };
  const highest = graph.tensor("highest logits", [rows, PARTS]);
  const atomics = { ...update(found), type: "atomic<u32>" };
  const main = `
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = group.y;
  let start = row * ${columns}u;`;
  graph.dispatch(
    "highest logits",
    { logits: read(logits, vector), highest: write(highest), found: atomics },
    `
var<workgroup> lane_highest: array<f32, ${lanes}>;
${main}
  var best = ${SUPPRESSED}f;
  ${
      unrolledLoop(
        graph.capabilities,
        "i",
        part,
        `best = max(best, ${highestOf("logits[start + i]", vector)});`,
      )
    }
  lane_highest[lane] = best;
  workgroupBarrier();
  if (lane > 0u) { return; }
  for (var i = 1u; i < ${lanes}u; i++) { best = max(best, lane_highest[i]); }
  highest[row * ${PARTS}u + group.x] = best;
  if (group.x == 0u) { atomicStore(&found[row * ${FOUND_WORDS}u], 0u); }
}`,
    [PARTS, rows],
  );
  const components = vector === 1 ? [""] : ["[0]", "[1]", "[2]", "[3]"];
  graph.dispatch(
    "likeliest tokens",
    {
      logits: read(logits, vector),
      highest: read(highest),
      coldness: read(coldness),
      found: atomics,
    },
    `
alias number = ${numberType(vector)};
var<workgroup> lane_sums: array<f32, ${lanes}>;

fn keep(row: u32, id: u32, logit: f32) {
  let place = atomicAdd(&found[row * ${FOUND_WORDS}u], 1u);
  if (place >= ${CAPACITY}u) { return; }
  let at = row * ${FOUND_WORDS}u + ${1 + PARTS}u + 2u * place;
  atomicStore(&found[at], id);
  atomicStore(&found[at + 1u], bitcast<u32>(logit));
}
${main}
  var top = ${SUPPRESSED}f;
  var least = ${vocabulary <= CAPACITY ? SUPPRESSED : -SUPPRESSED}f;
  for (var i = 0u; i < ${PARTS}u; i++) {
    let value = highest[row * ${PARTS}u + i];
    top = max(top, value);
    if (value > ${SUPPRESSED}f) { least = min(least, value); }
  }
  var sum = 0f;
  ${
      unrolledLoop(
        graph.capabilities,
        "i",
        part,
        `let value = logits[start + i];
    sum += ${total(`exp((value - top) * coldness[row])`, vector)};
    if (any(value >= number(least))) {
      ${
          components.map((component, at) =>
            `if (value${component} >= least) { keep(row, ${vector}u * i + ${at}u, value${component}); }`
          ).join("\n      ")
        }
    }`,
      )
    }
  lane_sums[lane] = sum;
  workgroupBarrier();
  if (lane > 0u) { return; }
  for (var i = 1u; i < ${lanes}u; i++) { sum += lane_sums[i]; }
  atomicStore(&found[row * ${FOUND_WORDS}u + 1u + group.x], bitcast<u32>(sum));
}`,
    [PARTS, rows],
  );
}

/** What a row's logits are multiplied by for a temperature; 0 stands for the coldest. */
export function coldnessOf(temperature: number): number {
  // Beyond these limits, another temperature makes no difference that f32 can hold.
  return Math.min(1e30, Math.max(1e-30, 1 / temperature));
}

/**
 * Reads what {@linkcode likeliestTokens} found in one row.
 *
 * @param words [FOUND_WORDS]
 * @returns undefined where there were more tokens than fit, or none
 */
export function likeliestOf(words: Uint32Array<ArrayBuffer>): Likeliest | undefined {
  const [count] = words;
  if (count === 0 || count > CAPACITY) return undefined;
  const numbers = new Float32Array(words.buffer, words.byteOffset, words.length);
  const at = (place: number) => 1 + PARTS + 2 * place;
  return {
    ids: Uint32Array.from({ length: count }, (_, place) => words[at(place)]),
    logits: Float32Array.from({ length: count }, (_, place) => numbers[at(place) + 1]),
    total: numbers.subarray(1, 1 + PARTS).reduce((sum, part) => sum + part, 0),
  };
}

/** WGSL of the highest component. */
function highestOf(value: string, vector: 1 | 4): string {
  if (vector === 1) return value;
  return `max(max(${value}.x, ${value}.y), max(${value}.z, ${value}.w))`;
}
