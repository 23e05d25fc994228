import { isRecord } from "../../../data/files/is-record.ts";
import { ropeFrequencies, ropeTable } from "../../../kernels/layers/rope.ts";
import {
  atLeastOne,
  isInRange,
  type NumberRange,
  positive,
  rangeInWords,
  someShare,
} from "../../number-range.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { Constant, SharedSizes } from "../layer.ts";

/** How a rope is scaled: from its plain frequencies to those that are used. */
type Scaling = (plain: Float32Array<ArrayBuffer>, read: RopeReader) => Float32Array<ArrayBuffer>;

/** The kinds of rope by the `rope_type` that chooses them, as transformers computes them. */
const SCALINGS: Readonly<Record<string, Scaling>> = {
  default: (plain) => plain,
  linear: (plain, read) => {
    const factor = read.number("factor", positive);
    return plain.map((frequency) => frequency / factor);
  },
  // It changes sequences longer than max_position_embeddings only, and the model takes none.
  dynamic: (plain) => plain,
  llama3: scaleAsLlama3,
};

/**
 * The rotary position embedding of a config: the table [maxPositions, 2, rotated / 2] of cosines and
 * sines. Base, scaling and the share of a head that is turned are read from `rope_parameters`, where
 * newer files have them, or from `rope_theta`, `rope_scaling` and `partial_rotary_factor`.
 *
 * @param layer.headDim width of a head
 * @throws UserError for another scaling, and for two values of one thing that differ
 */
export function readRope(
  read: ConfigReader,
  { maxPositions, headDim }: SharedSizes & { readonly headDim: number },
): Constant {
  const rope = new RopeReader(read);
  const theta = rope.number("rope_theta", positive, 10000);
  const share = rope.number("partial_rotary_factor", someShare, 1);
  const rotated = Math.floor(headDim * share);
  if (rotated < 2 || rotated % 2 !== 0) {
    read.refuse("partial_rotary_factor", `an even number of the ${headDim} values of a head`);
  }
  const frequencies = rope.scaling(ropeFrequencies(rotated, theta), rope);
  return {
    name: "rope",
    shape: [maxPositions, 2, rotated / 2],
    values: () => ropeTable(maxPositions, frequencies),
  };
}

/** Typed access to what a config says of rope, wherever it says it. */
class RopeReader {
  /** The records that the file has. */
  readonly #records: { readonly key: string; readonly record: Record<string, unknown> }[] = [];

  constructor(private readonly read: ConfigReader) {
    for (const key of ["rope_parameters", "rope_scaling"]) {
      const record = read.value(key);
      if (record === undefined) continue;
      if (!isRecord(record)) read.refuse(key, `a record such as {"rope_type": "default"}`);
      this.#records.push({ key, record });
    }
  }

  /** How the frequencies are scaled. @throws UserError naming the kinds that there are */
  get scaling(): Scaling {
    let scaling = SCALINGS.default;
    for (const { key, record } of this.#records) {
      const kind = record.rope_type ?? record.type ?? "default";
      if (typeof kind !== "string" || !Object.hasOwn(SCALINGS, kind)) {
        const kinds = Object.keys(SCALINGS).map((name) => `"${name}"`).join(", ");
        this.read.refuse(key, `a rope_type among ${kinds}: other scalings are not supported`);
      }
      if (kind !== "default") scaling = SCALINGS[kind];
    }
    return scaling;
  }

  /** A number in a range. @throws UserError, also where it is missing without a fallback */
  number(name: string, range: NumberRange, fallback?: number): number {
    let found: number | undefined;
    if (this.read.value(name) !== undefined) found = this.read.number(name, range);
    for (const { key, record } of this.#records) {
      const value = record[name] ?? undefined;
      if (value === undefined) continue;
      if (!isInRange(value, range)) this.read.refuse(key, `${name} ${rangeInWords(range)}`);
      if (found !== undefined && value !== found) {
        this.read.refuse(key, `the same ${name} as elsewhere in the file (${found})`);
      }
      found = value;
    }
    found ??= fallback;
    if (found === undefined) {
      const key = this.#records[0]?.key ?? "rope_scaling";
      this.read.refuse(key, `${name} ${rangeInWords(range)}`);
    }
    return found;
  }
}

/**
 * Llama 3's scaling (arXiv 2407.21783): waves that the first training saw whole keep their
 * frequencies, those longer than its context are slowed down by a factor, those between in part.
 */
function scaleAsLlama3(
  plain: Float32Array<ArrayBuffer>,
  read: RopeReader,
): Float32Array<ArrayBuffer> {
  const factor = read.number("factor", positive);
  const low = read.number("low_freq_factor", positive);
  const high = read.number("high_freq_factor", positive);
  const context = read.number("original_max_position_embeddings", atLeastOne);
  return plain.map((frequency) => {
    const turns = context * frequency / (2 * Math.PI);
    if (turns < low) return frequency / factor;
    if (turns > high) return frequency;
    const kept = (turns - low) / (high - low);
    return (1 - kept) * frequency / factor + kept * frequency;
  });
}
