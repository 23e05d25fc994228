import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseConfig } from "../../model/network/config.ts";
import { flopsPerToken } from "../../train/step/flops.ts";
import { statusText } from "../../train/run/step-status.ts";

Deno.test("progress: the status of a step", () => {
  const status = { loss: 5.12345, learningRate: 3e-4, tokensPerSecond: 12344.6 };
  assertEquals(statusText(status), "loss 5.123  lr 3.00e-4  12,345 tok/s");
  assertStringIncludes(statusText({ ...status, shareOfPeak: 0.414 }), "41 % of peak");
});

Deno.test("progress: the operations of a token are those of every matrix it is multiplied by", () => {
  const sizes = { hidden_size: 8, num_attention_heads: 2, num_key_value_heads: 1, vocab_size: 10 };
  const config = parseConfig({ ...sizes, num_hidden_layers: 1, intermediate_size: 16 }, "dense");
  const [attention, feedForward, head] = [8 * 8 + 2 * 8 * 4 + 8 * 8, 3 * 8 * 16, 8 * 10];
  const scoresAndValues = 2 * 8 * 6 / 2; // half of 6 tokens
  assertEquals(
    flopsPerToken(config, 6),
    3 * 2 * (attention + feedForward + head + scoresAndValues),
  );
});
