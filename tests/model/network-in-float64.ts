import { configToJson, type ModelConfig } from "../../model/network/config.ts";

/** The keys of a published `config.json` that say what is computed. */
interface Published {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  rope_theta: number;
  rms_norm_eps: number;
  FFN_type: string;
  mlp_type: string;
  n_experts: number;
  slots_per_expert: number;
}

/** Gives a parameter's values by its published name. */
export type Weights = (name: string) => ArrayLike<number>;

type Row = number[];

/**
 * The network once more, token by token in float64 and in plain words.
 *
 * @param together lengths of the stretches of the sequence whose tokens pass the feed-forward layers
 *   together: [n] for one forward pass, [prompt, 1, 1, …] for cached decoding
 * @returns logits [sequence][vocabulary]
 */
export function networkInFloat64(
  config: ModelConfig,
  weights: Weights,
  ids: readonly number[],
  together: readonly number[],
): Row[] {
  const json = configToJson(config) as unknown as Published;
  const embedding = weights("model.embed_tokens.weight");
  let rows = ids.map((id) => rowOf(embedding, id, json.hidden_size));
  for (let layer = 0; layer < json.num_hidden_layers; layer++) {
    const of = (name: string) => weights(`model.layers.${layer}.${name}`);
    const attended = attention(json, of, rows.map((x) => norm(x, of("input_layernorm.weight"))));
    rows = rows.map((x, t) => plus(x, attended[t]));
    const inputs = rows.map((x) => norm(x, of("post_attention_layernorm.weight")));
    let first = 0;
    const mixed = together.flatMap((count) =>
      feedForward(json, of, inputs.slice(first, first += count))
    );
    rows = rows.map((x, t) => plus(x, mixed[t]));
  }
  return rows.map((x) => times(weights("lm_head.weight"), norm(x, weights("model.norm.weight"))));

  function norm(x: Row, gain: ArrayLike<number>): Row {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + json.rms_norm_eps);
    return x.map((value, i) => value * scale * gain[i]);
  }
}

function attention(json: Published, of: Weights, rows: Row[]): Row[] {
  const { num_attention_heads: heads, num_key_value_heads: keyValueHeads } = json;
  const headDim = json.hidden_size / heads;
  const project = (name: string, x: Row, position?: number) => {
    const y = plus(
      times(of(`self_attn.${name}.weight`), x),
      Array.from(of(`self_attn.${name}.bias`)),
    );
    const split = Array.from({ length: y.length / headDim }, (_, head) => rowOf(y, head, headDim));
    return position === undefined ? split : split.map((part) => rotate(part, position));
  };
  const rotate = (x: Row, position: number) =>
    x.map((value, d) => {
      const half = headDim / 2;
      const angle = position * json.rope_theta ** (-2 * (d % half) / headDim);
      const other = d < half ? -x[d + half] : x[d - half];
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  const queries = rows.map((x, t) => project("q_proj", x, t));
  const keys = rows.map((x, t) => project("k_proj", x, t));
  const values = rows.map((x) => project("v_proj", x));
  return rows.map((_, t) => {
    const outputs = queries[t].map((query, head) => {
      const shared = Math.floor(head / (heads / keyValueHeads));
      const past = keys.slice(0, t + 1).map((key) => dot(query, key[shared]) / Math.sqrt(headDim));
      return weightedSum(softmax(past), values.map((value) => value[shared]));
    });
    return times(of("self_attn.o_proj.weight"), outputs.flat());
  });
}

function feedForward(json: Published, of: Weights, rows: Row[]): Row[] {
  if (json.FFN_type === "raw") return rows.map((x) => expert(json, of, "mlp.", x));
  const [phi, [scale]] = [of("mlp.phi"), Array.from(of("mlp.scale"))];
  const slots = json.n_experts * json.slots_per_expert;
  const keys = Array.from({ length: slots }, (_, slot) => {
    const column = Array.from({ length: json.hidden_size }, (_, i) => phi[i * slots + slot]);
    return unit(column).map((value) => value * scale);
  });
  const units = rows.map(unit);
  const scores = units.map((x) => keys.map((key) => dot(x, key)));
  const outputs = keys.map((_, slot) => {
    const input = weightedSum(softmax(scores.map((row) => row[slot])), units);
    return expert(json, of, `mlp.experts.${Math.floor(slot / json.slots_per_expert)}.`, input);
  });
  return scores.map((row) => weightedSum(softmax(row), outputs));
}

function expert(json: Published, of: Weights, prefix: string, x: Row): Row {
  const gated = (gate: string, up: string, x: Row) => {
    const ups = times(of(`${prefix}${up}.weight`), x);
    return times(of(`${prefix}${gate}.weight`), x)
      .map((value, i) => value / (1 + Math.exp(-value)) * ups[i]);
  };
  return json.mlp_type === "senet"
    ? gated("gate_down_proj", "down_proj", gated("gate_up_proj", "up_proj", x))
    : times(of(`${prefix}down_proj.weight`), gated("gate_proj", "up_proj", x));
}

/** A matrix [out, in], row-major, times a vector. */
function times(matrix: ArrayLike<number>, x: Row): Row {
  return Array.from({ length: matrix.length / x.length }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += matrix[row * x.length + i] * x[i];
    return sum;
  });
}

function softmax(x: Row): Row {
  const highest = Math.max(...x);
  const powers = x.map((value) => Math.exp(value - highest));
  const total = powers.reduce((sum, value) => sum + value);
  return powers.map((value) => value / total);
}

function weightedSum(weights: Row, rows: Row[]): Row {
  return rows[0].map((_, i) => weights.reduce((sum, weight, t) => sum + weight * rows[t][i], 0));
}

function rowOf(matrix: ArrayLike<number>, row: number, width: number): Row {
  return Array.from({ length: width }, (_, i) => matrix[row * width + i]);
}

function dot(a: Row, b: Row): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

function plus(a: Row, b: Row): Row {
  return a.map((value, i) => value + b[i]);
}

function unit(x: Row): Row {
  const length = Math.max(Math.sqrt(dot(x, x)), 1e-12);
  return x.map((value) => value / length);
}
