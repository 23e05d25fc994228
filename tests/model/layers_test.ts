/** A layer is one definition: everything that is known of it comes from there. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { add } from "../../kernels/layers/add.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import { isCausal, parseConfig } from "../../model/network/config.ts";
import type {
  FeedForward,
  FeedForwardKind,
} from "../../model/network/feed-forward/feed-forward.ts";
import { FEED_FORWARDS, feedForwardKeys } from "../../model/network/feed-forward/feed-forwards.ts";
import { initialValues } from "../../model/network/initialization.ts";
import { bias, operand, type Parameter, stacked } from "../../model/network/layer.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { positive } from "../../model/number-range.ts";
import { requireSameSettings, SETTINGS_FILE } from "../../train/settings/run-settings.ts";
import { loadSettings, settingsToYaml } from "../../train/settings/settings.ts";
import { layerSettings } from "../../train/settings/settings-schema.ts";
import { flopsPerToken } from "../../train/step/flops.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { gpu } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const KEYS = {
  toy_deviation: { meaning: "standard deviation of the toy's weights", ...positive },
};

/** W x + b: a feed-forward layer that is known in this file alone. */
const toy: FeedForwardKind = {
  name: "toy",
  meaning: "a single linear layer",
  keys: KEYS,
  read(read, { hiddenSize }) {
    const deviation = read.number("toy_deviation", KEYS.toy_deviation, 0.5);
    return toyLayer(hiddenSize, deviation);
  },
};

function toyLayer(hiddenSize: number, deviation: number): FeedForward<"weight" | "bias"> {
  const shape = [hiddenSize, hiddenSize];
  const weight: Parameter = { name: "toy.weight", shape, initial: { deviation } };
  const offset = bias("toy.bias", hiddenSize);
  return {
    causal: true,
    inputType: "operand",
    parameters: [weight, offset],
    tensors: { weight: operand(shape, weight), bias: stacked([hiddenSize], offset) },
    flopsPerToken: () => 2 * hiddenSize * hiddenSize,
    forward: (x, residual, { weight, bias }) => add(residual!, linear(x, weight, bias)),
  };
}

const kinds = [...FEED_FORWARDS, toy];
const SIZES = {
  ...{ vocab_size: 32, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 2 },
  ...{ intermediate_size: 16, max_position_embeddings: 64 },
};
const TOY = parseConfig({ ...SIZES, FFN_type: "toy" }, "toy.json", kinds);

Deno.test("a config chooses a feed-forward layer by its definition", () => {
  const refused = (json: Record<string, unknown>, among = kinds) =>
    assertThrows(() => parseConfig({ ...SIZES, ...json }, "toy.json", among), UserError).message;
  assertStringIncludes(
    refused({ FFN_type: "toy", toy_deviation: "much" }),
    `toy.json: "toy_deviation" is "much"; expected a number of at least`,
  );
  assertStringIncludes(refused({ FFN_type: "toi" }), `or "toy"`);
  assertStringIncludes(refused({ FFN_type: "toy" }, [...FEED_FORWARDS]), `"FFN_type" is "toy"`);
});

Deno.test("parameters, f16 copies, values at the start, FLOPs and causality are the definition's", async () => {
  const names = new Parameters(TOY).parts.map(({ name }) => name);
  assertEquals(names.slice(8, 12), [
    "model.layers.0.mlp.toy.weight",
    "model.layers.0.mlp.toy.bias",
    "model.layers.0.input_layernorm.weight",
    "model.layers.0.post_attention_layernorm.weight",
  ]);
  const { weight, bias } = new Parameters(TOY, true).layers[1].mlp;
  assertEquals([weight.half?.dtype, bias.half?.dtype], ["f16", undefined]);

  const parameters = new Parameters(TOY);
  await parameters.load(gpu, (part, index) => initialValues(part, 1, index));
  const weights = await parameters.read(gpu, "model.layers.1.mlp.toy.weight");
  const meanSquare = weights.reduce((sum, value) => sum + value ** 2, 0) / weights.length;
  assert(Math.abs(Math.sqrt(meanSquare) - 0.5) < 0.02, `${Math.sqrt(meanSquare)}`);
  assertEquals(await parameters.read(gpu, "model.layers.1.mlp.toy.bias"), new Float32Array(64));

  const dense = parseConfig({ ...SIZES, FFN_type: "raw" }, "dense.json");
  const [ofToy, ofDense] = [2 * 64 * 64, 2 * 3 * 64 * 16];
  assertEquals(flopsPerToken(TOY, 8) - flopsPerToken(dense, 8), 3 * 2 * (ofToy - ofDense));

  const acausal = { ...toy, read: () => ({ ...toyLayer(64, 0.5), causal: false }) };
  const config = parseConfig({ ...SIZES, FFN_type: "toy" }, "toy.json", [acausal]);
  assertEquals([isCausal(TOY), isCausal(config)], [true, false]);
  assertEquals(new LanguageModel(gpu, new Parameters(config)).sharesPrefixes, false);
});

Deno.test("a model with a layer of one's own computes, generates and learns", async () => {
  const parameters = new Parameters(TOY);
  await parameters.load(gpu, (part, index) => initialValues(part, 1, index));
  const model = new LanguageModel(gpu, parameters);
  const ids = [3, 1, 4, 1, 5, 9, 2, 6];
  const whole = await model.logits([ids]);
  const next = (await model.nextLogits([ids.slice(0, 5)]))[0];
  next.forEach((logit, id) => assert(Math.abs(logit - whole[4 * 32 + id]) < 1e-5));
  const generated = await Array.fromAsync(model.generate(ids, { maxTokens: 3, stopIds: [] }));
  assertEquals(generated.length, 3);

  const before = await parameters.read(gpu, "model.layers.0.mlp.toy.weight");
  const adamW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1 };
  const step = await TrainingStep.plan(gpu, parameters, { ...adamW, tokens: 8, sequences: 1 });
  const batch = { inputs: [ids], labels: [[...ids.slice(1), 0]] };
  const losses = [];
  for (let number = 1; number <= 4; number++) {
    losses.push((await step.run([batch], 1e-2, number)).loss);
  }
  step.destroy();
  assertEquals(losses, losses.toSorted((a, b) => b - a));
  const after = await parameters.read(gpu, "model.layers.0.mlp.toy.weight");
  assert(after.every((value, i) => value !== before[i]));
});

Deno.test("the keys of a layer are settings of pretraining, checked by its definition", () =>
  inTemporaryFolder(async (dir) => {
    const schema = { model: layerSettings(feedForwardKeys(kinds)) };
    await Deno.writeTextFile(`${dir}/defaults.yaml`, "model:\n  FFN_type: toy\n");
    const defaults = new URL(`file://${dir}/defaults.yaml`);
    const load = (...argv: string[]) => loadSettings(schema, defaults, argv);
    const without = await load();
    const given = await load("--model.toy_deviation=0.25");
    assertEquals(without, { model: { FFN_type: "toy" } });
    assertEquals(given, { model: { FFN_type: "toy", toy_deviation: 0.25 } });
    await assertRejects(
      () => load("--model.toy_deviation=-1"),
      UserError,
      "--model.toy_deviation is -1; expected a number of at least",
    );
    // A run that was started with such a key does not go on without it.
    await Deno.writeTextFile(`${dir}/${SETTINGS_FILE}`, settingsToYaml(given));
    await requireSameSettings(dir, given, { step: 1 });
    await assertRejects(
      () => requireSameSettings(dir, without, { step: 1 }),
      UserError,
      "model.toy_deviation was 0.25 and is now not set",
    );
  }));

Deno.test("a definition that leaves a parameter out of its tensors is refused by name", () => {
  const layer = toyLayer(64, 0.5);
  const { weight } = layer.tensors;
  const broken = (tensors: FeedForward["tensors"]) => {
    const kind = { ...toy, read: () => ({ ...layer, tensors }) };
    return () => new Parameters(parseConfig({ ...SIZES, FFN_type: "toy" }, "toy.json", [kind]));
  };
  assertThrows(broken({ weight }), Error, "model.layers.0.mlp.toy.bias is in none of its layer's");
  assertThrows(broken({ weight: { ...weight, shape: [64, 65] } }), Error, "4160 values");
});

Deno.test("no other file knows a feed-forward layer by its name", async () => {
  const root = new URL("../../", import.meta.url).pathname;
  const own = ["kernels/soft-moe/", "model/network/feed-forward/"];
  const offenders: string[] = [];
  for (const folder of ["data", "eval", "kernels", "model", "train"]) {
    for await (const path of sources(`${root}${folder}`)) {
      const name = path.slice(root.length);
      if (own.some((prefix) => name.startsWith(prefix))) continue;
      const [found] = /\b(softmoe_v3|senet)\b/.exec(await Deno.readTextFile(path)) ?? [];
      if (found) offenders.push(`${name}: ${found}`);
    }
  }
  assertEquals(offenders, []);
});

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}
