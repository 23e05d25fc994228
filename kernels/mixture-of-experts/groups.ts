import { read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/** Rows of a tile: all of one expert, the last tile of each filled up with padding. */
export const TILE = 64;

/** What stands for no expert, and for no choice. */
export const NONE = 0xffffffff;

/**
 * The choices of a batch in the order of their experts, so that each expert's rows lie together. Choice
 * `token · perToken + i` is the i-th expert of a token. How many rows an expert has is known on the GPU
 * only; there are tiles for every case.
 */
export interface ExpertGroups {
  /** How many experts there are. */
  readonly experts: number;
  /** Experts of each token. */
  readonly perToken: number;
  /** [rows] u32: the choice that a row stands for, or NONE in padding. */
  readonly choiceOfRow: Tensor;
  /** [tokens · perToken] u32: the row of each choice. */
  readonly rowOfChoice: Tensor;
  /** [rows / TILE] u32: the expert of a tile, or NONE. */
  readonly expertOfTile: Tensor;
  /** [experts, 2] u32: an expert's first row and the row after its last tile. */
  readonly bounds: Tensor;
}

/**
 * Sorts choices by expert, those of one expert by token: by counting, without atomics, so that the
 * order is always the same.
 *
 * @param chosen [tokens, perToken] u32
 */
export function groupByExpert(chosen: Tensor, experts: number): ExpertGroups {
  const graph = chosen.graph;
  const [tokens, perToken] = chosen.shape;
  const choices = tokens * perToken;
  // Each expert that is chosen at all leaves less than a tile empty.
  const tiles = Math.floor(choices / TILE) + Math.min(experts, choices);
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const stretch = Math.ceil(choices / lanes);
  const counts = graph.tensor("expert counts", [experts], "u32");
  const groups = {
    experts,
    perToken,
    choiceOfRow: graph.tensor("choice of row", [tiles * TILE], "u32"),
    rowOfChoice: graph.tensor("row of choice", [choices], "u32"),
    expertOfTile: graph.tensor("expert of tile", [tiles], "u32"),
    bounds: graph.tensor("rows of experts", [experts, 2], "u32"),
  };
  // A workgroup for each expert: its lanes count the choices of a stretch each.
  const countOwn = `
var<workgroup> found: array<u32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let expert = group.x;
  let first = min(lane * ${stretch}u, ${choices}u);
  let end = min(first + ${stretch}u, ${choices}u);
  var own = 0u;
  for (var choice = first; choice < end; choice++) { own += u32(chosen[choice] == expert); }
  found[lane] = own;
  workgroupBarrier();`;
  graph.dispatch(
    "count choices",
    { chosen: read(chosen), counts: write(counts) },
    `${countOwn}
  if (lane == 0u) {
    var sum = 0u;
    for (var i = 0u; i < ${lanes}u; i++) { sum += found[i]; }
    counts[expert] = sum;
  }
}`,
    [experts],
  );
  graph.elementwise(
    "tiles of experts",
    Math.max(tiles, experts),
    {
      counts: read(counts),
      expert_of_tile: write(groups.expertOfTile),
      bounds: write(groups.bounds),
      choice_of_row: write(groups.choiceOfRow),
    },
    `var next = 0u;
    var owner = ${NONE}u;
    for (var expert = 0u; expert < ${experts}u; expert++) {
      let first = next;
      next += (counts[expert] + ${TILE - 1}u) / ${TILE}u;
      if (i >= first && i < next) { owner = expert; }
      if (i == expert) {
        bounds[2u * expert] = first * ${TILE}u;
        bounds[2u * expert + 1u] = next * ${TILE}u;
      }
    }
    if (i < ${tiles}u) {
      expert_of_tile[i] = owner;
      for (var row = i * ${TILE}u; row < (i + 1u) * ${TILE}u; row++) { choice_of_row[row] = ${NONE}u; }
    }`,
  );
  graph.dispatch(
    "sort choices",
    {
      chosen: read(chosen),
      bounds: read(groups.bounds),
      choice_of_row: update(groups.choiceOfRow),
      row_of_choice: update(groups.rowOfChoice),
    },
    `${countOwn}
  var row = bounds[2u * expert];
  for (var i = 0u; i < lane; i++) { row += found[i]; }
  for (var choice = first; choice < end; choice++) {
    if (chosen[choice] == expert) {
      row_of_choice[choice] = row;
      choice_of_row[row] = choice;
      row++;
    }
  }
}`,
    [experts],
  );
  return groups;
}
