import type { ConfigKey, ConfigReader } from "../config-reader.ts";
import type { SharedSizes } from "../layer.ts";
import { dense } from "./dense.ts";
import type { FeedForward, FeedForwardKind } from "./feed-forward.ts";
import { causalSoftMoE, softMoE } from "./soft-moe.ts";
import { sparseMoE } from "./sparse-moe.ts";

/** Every feed-forward layer that a config can choose. A new one is a file and a line here. */
export const FEED_FORWARDS: readonly FeedForwardKind[] = [
  softMoE,
  causalSoftMoE,
  dense,
  sparseMoE,
];

/** The feed-forward layer of a config; a config that names none has a dense one. */
export function readFeedForward(
  read: ConfigReader,
  sizes: SharedSizes,
  kinds: readonly FeedForwardKind[],
): FeedForward {
  const name = read.choice("FFN_type", kinds.map(({ name }) => name), dense.name);
  return kinds.find((kind) => kind.name === name)!.read(read, sizes);
}

/** The keys of `config.json` that choose and describe a feed-forward layer, of any kind. */
export function feedForwardKeys(kinds: readonly FeedForwardKind[]): Record<string, ConfigKey> {
  return {
    FFN_type: {
      meaning: `feed-forward layer: ${kinds.map(({ meaning }) => meaning).join(", or ")}`,
      choices: kinds.map(({ name }) => name),
    },
    ...Object.assign({}, ...kinds.map(({ keys }) => keys)),
  };
}
