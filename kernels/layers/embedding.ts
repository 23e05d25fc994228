import { read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * The places of a batch's tokens, sorted by token, so that the gradient of a row of the table is
 * summed by one workgroup in a fixed order: WGSL has no float atomics.
 */
export interface TokenOrder {
  /** [tokens] u32: the distinct ids, then anything. */
  readonly distinct: Tensor;
  /** [tokens + 1] u32: where the places of each distinct id start in `places`; the rest repeat the end. */
  readonly starts: Tensor;
  /** [tokens] u32: places in the batch, sorted by id. */
  readonly places: Tensor;
}

/**
 * y[t] = table[ids[t]]: a row of the table for each token.
 *
 * @param ids [tokens] u32
 * @param table [vocabulary, width] f32
 * @param order of {@linkcode orderTokens}, for the table's gradient; not needed otherwise
 * @returns [tokens, width]
 */
export function embedding(ids: Tensor, table: Tensor, order?: TokenOrder): Tensor {
  const graph = ids.graph;
  const [, width] = table.shape;
  const tokens = ids.size;
  const y = graph.tensor("embedding", [tokens, width]);
  graph.elementwise(
    "embedding",
    y.size,
    { ids: read(ids), table: read(table), y: write(y) },
    `y[i] = table[ids[i / ${width}u] * ${width}u + i % ${width}u];`,
  );
  // Where the table is frozen, no operator above computes a gradient of y.
  if (!table.gradient) return y;
  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(table);
    if (!target || !order) return;
    graph.dispatch(
      "embedding dTable",
      {
        dy: read(dy),
        distinct: read(order.distinct),
        starts: read(order.starts),
        places: read(order.places),
        dtable: update(target.tensor),
      },
      `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  let start = starts[group.y];
  let end = starts[group.y + 1u];
  if (start == end || id.x >= ${width}u) { return; }
  var sum = 0f;
  for (var i = start; i < end; i++) { sum += dy[places[i] * ${width}u + id.x]; }
  dtable[distinct[group.y] * ${width}u + id.x] += sum;
}`,
      [Math.ceil(width / 64), tokens],
    );
  });
  return y;
}

/** Sorts a batch's tokens by counting: the numbers for a `TokenOrder`. */
export function orderTokens(ids: Uint32Array): Record<keyof TokenOrder, Uint32Array<ArrayBuffer>> {
  let most = 0;
  for (const id of ids) most = Math.max(most, id);
  const next = new Uint32Array(most + 2);
  for (const id of ids) next[id + 1]++;
  const distinct = new Uint32Array(ids.length);
  const starts = new Uint32Array(ids.length + 1).fill(ids.length);
  let count = 0;
  for (let id = 0; id + 1 < next.length; id++) {
    if (next[id + 1] > 0) {
      distinct[count] = id;
      starts[count++] = next[id];
    }
    next[id + 1] += next[id];
  }
  const places = new Uint32Array(ids.length);
  for (let place = 0; place < ids.length; place++) places[next[ids[place]]++] = place;
  return { distinct, starts, places };
}
