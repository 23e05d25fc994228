/**
 * A small seeded generator: the same seed gives the same numbers on every machine. It is sfc32,
 * "small fast counting": 128 bits of state, a period of at least 2^32 and 2^127 on average
 * (Chris Doty-Humphrey, PractRand, http://pracrand.sourceforge.net, public domain).
 */
export class Random {
  /** a, b, c and the counter; a typed array is many times faster here than four fields. */
  readonly #state: Int32Array;

  /**
   * @param seed any integer from 0 to 2^32 - 1
   * @param stream tells apart the independent sequences drawn under one seed, such as one an epoch
   */
  constructor(seed: number, stream = 0) {
    this.#state = Int32Array.of(0, seed | 0, stream | 0, 1);
    for (let warmUp = 0; warmUp < 12; warmUp++) this.uint32();
  }

  /** The next integer from 0 to 2^32 - 1. */
  uint32(): number {
    const state = this.#state;
    const [b, c] = [state[1], state[2]];
    const sum = (state[0] + b + state[3]++) | 0;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** The next number in [0, 1), a multiple of 2^-32. */
  uniform(): number {
    return this.uint32() * 2 ** -32;
  }

  /** The next integer from 0 to `bound` - 1, every one exactly as likely (`bound` up to 2^32). */
  below(bound: number): number {
    const unbiased = 2 ** 32 - (2 ** 32 % bound);
    let value = this.uint32();
    while (value >= unbiased) value = this.uint32();
    return value % bound;
  }

  /**
   * Fills `values` with normal deviates of mean 0 by the ziggurat method with 128 layers
   * (Marsaglia and Tsang 2000, doi:10.18637/jss.v005.i08; the layer and the deviate are drawn from
   * separate numbers, as Doornik 2005 advises).
   *
   * @returns `values`
   */
  fillNormal(values: Float32Array, standardDeviation: number): Float32Array {
    for (let i = 0; i < values.length; i++) values[i] = standardDeviation * normal(this);
    return values;
  }
}

function normal(random: Random): number {
  while (true) {
    const layer = random.uint32() & (LAYERS - 1);
    const signed = random.uint32() * 2 ** -31 - 1;
    const x = signed * ZIGGURAT_X[layer];
    if (Math.abs(x) < ZIGGURAT_X[layer + 1]) return x;
    if (layer === 0) return normalTail(random, signed < 0);
    const outer = gaussian(ZIGGURAT_X[layer]);
    const inner = gaussian(ZIGGURAT_X[layer + 1]);
    if (outer + random.uniform() * (inner - outer) < gaussian(x)) return x;
  }
}

/** A deviate beyond the edge of the ziggurat's lowest layer (Marsaglia 1964). */
function normalTail(random: Random, negative: boolean): number {
  while (true) {
    const x = -Math.log(1 - random.uniform()) / EDGE;
    const y = -Math.log(1 - random.uniform());
    if (2 * y >= x * x) return negative ? -(EDGE + x) : EDGE + x;
  }
}

/** A random permutation of 0 … n - 1. */
export function shuffled(n: number, seed: number, stream = 0): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  shuffle(order, 0, new Random(seed, stream));
  return order;
}

/** Shuffles the elements from `start` on (Fisher and Yates, as in Durstenfeld 1964). */
export function shuffle(order: Uint32Array, start: number, random: Random): void {
  for (let last = order.length - 1; last > start; last--) {
    const other = start + random.below(last - start + 1);
    const swap = order[last];
    order[last] = order[other];
    order[other] = swap;
  }
}

const LAYERS = 128;
/** Where the tail begins, and the area of every layer, for 128 layers (Marsaglia and Tsang). */
const EDGE = 3.442619855899;
const LAYER_AREA = 9.91256303526217e-3;
const ZIGGURAT_X = zigguratEdges();

function gaussian(x: number): number {
  return Math.exp(-0.5 * x * x);
}

/**
 * Right edges of the layers, bottom to top; the lowest is as wide as a box of its area would be.
 */
function zigguratEdges(): Float64Array {
  const edges = new Float64Array(LAYERS + 1);
  edges[0] = LAYER_AREA / gaussian(EDGE);
  edges[1] = EDGE;
  for (let layer = 2; layer < LAYERS; layer++) {
    const below = edges[layer - 1];
    edges[layer] = Math.sqrt(-2 * Math.log(LAYER_AREA / below + gaussian(below)));
  }
  return edges;
}
