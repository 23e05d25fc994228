import type { HeadLayout } from "../../../kernels/layers/rope.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { SharedSizes } from "../layer.ts";

/** The widest head that kernels take. */
const WIDEST_HEAD = 256;
/** The widest head that they take if it is no multiple of 4. */
const WIDEST_UNEVEN_HEAD = 128;

/**
 * The heads of a config: how many of queries, how many of keys and values (as many when left out),
 * and how wide, `head_dim` or an even share of `hidden_size`.
 *
 * @throws UserError for numbers that do not fit together
 */
export function readHeads(read: ConfigReader, { hiddenSize }: SharedSizes): HeadLayout {
  const heads = read.count("num_attention_heads");
  const keyValueHeads = read.count("num_key_value_heads", heads);
  const own = read.value("head_dim") !== undefined;
  if (!own && hiddenSize % heads !== 0) {
    read.refuse("hidden_size", `a multiple of num_attention_heads (${heads})`);
  }
  const headDim = read.count("head_dim", hiddenSize / heads);
  const key = own ? "head_dim" : "hidden_size";
  if (headDim % 2 !== 0) {
    read.refuse(key, `an even number of values for each of the ${heads} attention heads`);
  }
  if (headDim > WIDEST_UNEVEN_HEAD && headDim % 4 !== 0) {
    read.refuse(key, `a multiple of 4 values for each of the ${heads} attention heads`);
  }
  if (headDim > WIDEST_HEAD) {
    read.refuse(key, `at most ${WIDEST_HEAD} values for each of the ${heads} attention heads`);
  }
  if (heads % keyValueHeads !== 0) {
    read.refuse("num_key_value_heads", `a divisor of num_attention_heads (${heads})`);
  }
  return { heads, keyValueHeads, headDim };
}
