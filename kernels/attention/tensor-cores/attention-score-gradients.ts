import { range } from "../../wgsl/range.ts";
import type { AttentionGradients } from "./attention-kernel.ts";
import { LEFT, type WorkPartition } from "./attention-partition.ts";
import { FRAGMENT, SUBGROUP_SIZE } from "../../runtime/fragment.ts";

/** Queries whose gradients of scores lie side by side. */
const QUERIES = 16;

/** Keys that the kernel of queries stages at a time. */
export const KEYS = 32;

/**
 * Gradients of scores in f16, which the kernel of keys and values writes and the kernel of queries
 * reads. For each head and 16 queries, the 16 numbers of a key lie side by side. A key's place is its
 * token modulo `keys`, so that two keys of one sequence never share a place.
 */
export class ScoreGradients {
  /** How many numbers they are. */
  readonly size: number;
  readonly #keys: number;
  readonly #queryTiles: number;

  constructor(
    { tokens, heads, keyValueHeads, longest, sharedHeads }: Omit<
      AttentionGradients,
      "firstSharedHead"
    >,
  ) {
    // A query sees less than `longest` keys back. Zeros are written too, for later keys of the same
    // workgroup and for keys of a workgroup that ends a tile before: room for the keys that a
    // workgroup owns, at most 128, and for a tile of 32.
    this.#keys = KEYS * Math.ceil((longest + 128) / KEYS + 1);
    // As many as tiles of either length reach.
    this.#queryTiles = Math.ceil(tokens / KEYS) * KEYS / QUERIES;
    this.size = heads / keyValueHeads * sharedHeads * this.#queryTiles * this.#keys * QUERIES;
  }

  /** WGSL for the first vector of sixteen queries and a key; `head` counts from the first here. */
  at(head: string, query: string, key: string): string {
    return `((${head} * ${this.#queryTiles}u + ${query} / ${QUERIES}u) * ${this.#keys}u + ` +
      `${key} % ${this.#keys}u) * ${QUERIES / 8}u`;
  }
}

/**
 * WGSL that brings {@linkcode ScoreGradients} into the kernel of queries, a tile of keys at a time.
 * Each subgroup reads those of its own queries and stages them in its scratch, where a key has a row.
 */
export class ScoreGradientTiles {
  /** Vectors of eight halves in a key's row, one of them against bank conflicts. */
  readonly #pitch: number;
  /** What a lane carries: for sixteen own queries from `query` on, vectors from one on. */
  readonly #slots: readonly { slot: number; query: number; vector: number }[];

  constructor(
    private readonly partition: WorkPartition,
    private readonly stored: ScoreGradients,
  ) {
    this.#pitch = partition.rows / 8 + 1;
    const perQueries = QUERIES / 8 * partition.tile / SUBGROUP_SIZE;
    this.#slots = range(partition.rows / QUERIES * perQueries).map((slot) => ({
      slot,
      query: QUERIES * Math.floor(slot / perQueries),
      vector: slot % perQueries * SUBGROUP_SIZE,
    }));
  }

  /** Declares the registers through which they pass, and where sequences of own queries start. */
  declare(): string {
    const { rows, layer: { tokens } } = this.partition;
    const registers = this.#slots.map(({ slot }) => `  var fetched_changes_${slot}: vec4<u32>;`);
    const starts = range(rows / QUERIES).map((i) => {
      const query = `own_first + ${QUERIES * i}u`;
      return `  let start_${QUERIES * i} = select(0xffffffffu, ` +
        `sequence_start[min(${query}, ${tokens - 1}u)], ${query} < ${tokens}u);`;
    });
    return [...registers, ...starts].join("\n");
  }

  /** Reads a lane's share of the tile that begins at key `tile` into registers. */
  fetch(tile: string): string {
    return this.#slots.map(({ query, vector, slot }) => {
      // Nobody wrote for keys whose workgroup's last one is of an earlier sequence.
      const written = `(${tile} | ${this.partition.workgroupRows - 1}u) >= start_${query}`;
      const at = this.stored.at("own_head", `(own_first + ${query}u)`, tile);
      return `    fetched_changes_${slot} = vec4<u32>();
    if (${written}) { fetched_changes_${slot} = ` +
        `score_gradients[${at} + ${vector}u + subgroup_lane]; }`;
    }).join("\n");
  }

  /** Puts what was fetched into the subgroup's scratch. */
  stage(): string {
    return this.#slots.map(({ query, vector, slot }) =>
      `    scratch[own_scratch + (subgroup_lane / 2u + ${vector / 2}u) * ${this.#pitch}u + ` +
      `${query / 8}u + subgroup_lane % 2u] = fetched_changes_${slot};`
    ).join("\n");
  }

  /** Takes what was staged into fragments `name_0_0`…, where queries are the rows. */
  take(name: string): string {
    const { rowFragments, tileSteps } = this.partition;
    return rowFragments.flatMap((i) =>
      tileSteps.map((k) =>
        `    let ${name}_${i}_${k} = subgroupMatrixLoad<${LEFT}, col_major>(&scratch, own_scratch + ` +
        `${k * FRAGMENT.k * this.#pitch + i * FRAGMENT.m / 8}u, ${this.#pitch}u);`
      )
    ).join("\n");
  }
}
