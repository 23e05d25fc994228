import { isRecord } from "../../../data/files/is-record.ts";
import { ropeTable } from "../../../kernels/layers/rope.ts";
import { isInRange, positive, rangeInWords } from "../../number-range.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { Constant } from "../layer.ts";

/** A rotary position embedding: its table of cosines and sines, and the keys that describe it. */
export interface Rope {
  /** [maxPositions, 2, headDim / 2]. */
  readonly table: Constant;
  /** The keys of `config.json` that describe it. */
  readonly json: Readonly<Record<string, unknown>>;
}

/**
 * The rotary position embedding of a config: its base from `rope_theta` or the newer
 * `rope_parameters`.
 *
 * @throws UserError for scaled or partial rope, and for two bases that differ
 */
export function readRope(read: ConfigReader, maxPositions: number, headDim: number): Rope {
  read.only("partial_rotary_factor", [1]);
  const theta = readTheta(read);
  const parameters = read.value("rope_parameters");
  const json: Record<string, unknown> = {};
  if (isRecord(parameters)) json.rope_parameters = { ...parameters, rope_theta: theta };
  if ("rope_theta" in read.json || !isRecord(parameters)) json.rope_theta = theta;
  const table = {
    name: "rope",
    shape: [maxPositions, 2, headDim / 2],
    values: () => ropeTable(maxPositions, headDim, theta),
  };
  return { table, json };
}

function readTheta(read: ConfigReader): number {
  const own = read.positive("rope_theta", 10000);
  let theta = own;
  for (const key of ["rope_scaling", "rope_parameters"]) {
    const rope = read.value(key);
    if (rope === undefined) continue;
    const kind = isRecord(rope) ? rope.rope_type ?? rope.type ?? "default" : undefined;
    if (!isRecord(rope) || kind !== "default" || (rope.partial_rotary_factor ?? 1) !== 1) {
      read.refuse(key, `rope_type "default": scaled rope is not supported`);
    }
    if (rope.rope_theta === undefined) continue;
    if (!isInRange(rope.rope_theta, positive)) {
      read.refuse(key, `rope_theta ${rangeInWords(positive)}`);
    }
    if (read.value("rope_theta") !== undefined && rope.rope_theta !== own) {
      read.refuse(key, `the same rope_theta as the key "rope_theta" (${own})`);
    }
    theta = rope.rope_theta;
  }
  return theta;
}
