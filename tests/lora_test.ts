/**
 * Adapters of low rank against PEFT's own numbers, computed in float64: an adapter that PEFT wrote for
 * the small Qwen2 among the peers.
 */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../data/random.ts";
import { sizeOf } from "../kernels/runtime/storage.ts";
import { download } from "../kernels/runtime/transfer.ts";
import { exportModel } from "../model/host/export-model.ts";
import { loadModel } from "../model/host/load-model.ts";
import { openSafetensors } from "../model/host/open-checkpoint.ts";
import { openModel } from "../model/host/open-model.ts";
import { writeAdapterFiles } from "../model/host/write-adapter.ts";
import { writeCheckpoint } from "../model/host/write-checkpoint.ts";
import { linearLayers } from "../model/network/adaptation.ts";
import { Parameters } from "../model/network/parameters.ts";
import { TrainingStep } from "../train/step/training-step.ts";
import { precisions, relativeError } from "./kernels/harness.ts";
import { goldenModel, gpu } from "./model/golden-model.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";

const BASE = new URL("golden/peers/qwen2", import.meta.url).pathname;
const ADAPTER = new URL("golden/lora", import.meta.url).pathname;

/** Bounds on ‖ours − PEFT's‖ / ‖PEFT's‖, as for the peers themselves. */
const TOLERANCES = {
  f32: { logits: 3e-6, gradients: 3e-5, losses: 3e-6 },
  mixed: { logits: 1e-2, gradients: 5e-2, losses: 1e-2 },
};

for (const precision of precisions) {
  Deno.test(`an adapter of PEFT gives its logits, gradients and steps, ${precision}`, async () => {
    const golden = JSON.parse(await Deno.readTextFile(`${ADAPTER}/expected.json`));
    const { input_ids: ids, labels, losses, grad_norms: norms, optimizer } = golden;
    using expected = await openSafetensors(`${ADAPTER}/expected.safetensors`);
    const model = await loadModel(BASE, { gpu, precision, adapter: ADAPTER });
    const { parameters } = model;
    const tolerance = TOLERANCES[precision];
    const worst: Record<string, number> = {};
    const compare = (what: keyof typeof tolerance, which: string, error: number) => {
      assert(error <= tolerance[what], `${which} is off by ${error.toExponential(2)}`);
      worst[what] = Math.max(worst[what] ?? 0, error);
    };

    const logits = await expected.readFloat32("logits");
    compare("logits", "logits", relativeError(await model.logits(ids), logits));
    const logProbs = (await model.logProbs(ids, labels)).flat();
    const wanted = await expected.readFloat32("label_logprobs");
    compare("logits", "log-probabilities", relativeError(logProbs, wanted));
    if (precision === "f32") {
      const { greedy, prompt_length: length } = golden;
      const options = { maxTokens: greedy.length - length, stopIds: [] };
      const tokens = await Array.fromAsync(model.generate(greedy.slice(0, length), options));
      assertEquals(tokens.map(({ id }) => id), greedy.slice(length));
    }

    const { betas: [beta1, beta2], eps: epsilon, weight_decay: weightDecay } = optimizer;
    const step = await TrainingStep.plan(gpu, parameters, {
      ...{ beta1, beta2, epsilon, weightDecay, clip: optimizer.clip_grad_norm },
      ...{ tokens: ids.flat().length, sequences: ids.length },
    });
    const frozen = parameters.parts.filter(({ tensor }) => tensor.gradient);
    assertEquals(frozen, [], "what is frozen has no gradient");
    const targets = labels.flat().filter((label: number) => label !== -100).length;
    for (let number = 1; number <= 3; number++) {
      step.accumulate({ inputs: ids, labels }, 1 / targets);
      for (const part of number === 1 ? parameters.updateParts : []) {
        const { name, tensor, first, shape } = part;
        const ours = await download(gpu, tensor.gradient!, first, sizeOf(shape));
        const theirs = await expected.readFloat32(name.replace("base_model.model", "grad"));
        const unscaled = ours.map((value) => value / step.lossScale.value);
        compare("gradients", `gradient of ${name}`, relativeError(unscaled, theirs));
      }
      const { loss, gradientNorm } = await step.update(optimizer.lr, number);
      compare("losses", `loss ${number}`, Math.abs(loss / losses[number - 1] - 1));
      const normError = Math.abs(gradientNorm / norms[number - 1] - 1);
      compare("losses", `gradient norm ${number}`, normError);
    }
    const reached = Object.entries(worst).map(([what, e]) => `${what} ${e.toExponential(1)}`);
    console.log(`${precision}: ${reached.join(", ")}`);
    step.destroy();
    model.close();
  });
}

Deno.test("an adapter of PEFT is written as it was read", () =>
  inTemporaryFolder(async (dir) => {
    using read = await openModel(BASE, ADAPTER);
    const { checkpoint: { config }, adapter } = read;
    const model = await loadModel(BASE, { gpu, precision: "f32", adapter: ADAPTER });
    await writeAdapterFiles(dir, {
      parts: model.parameters.updateParts,
      dtype: "F32",
      tensors: (name) => model.parameters.read(gpu, name),
      files: { "adapter_config.json": await Deno.readTextFile(`${ADAPTER}/adapter_config.json`) },
    });
    using before = await openSafetensors(`${ADAPTER}/adapter_model.safetensors`);
    using after = await openSafetensors(`${dir}/adapter_model.safetensors`);
    assertEquals([...after.tensors.keys()].toSorted(), [...before.tensors.keys()].toSorted());
    for (const [name, { shape }] of before.tensors) {
      assertEquals(after.info(name).shape, shape);
      assertEquals(await after.readFloat32(name), await before.readFloat32(name));
    }
    using again = await openModel(BASE, dir);
    assertEquals(again.adapter!.adaptationOf(config), adapter!.adaptationOf(config));
    model.close();
  }));

Deno.test("a Soft MoE's experts are updated: gradients are the loss's slopes, folding changes nothing", () =>
  inTemporaryFolder(async (dir) => {
    const { config, weights, inputIds } = await goldenModel("steel-tiny");
    await writeCheckpoint(`${dir}/base`, { config, dtype: "F32", tensors: weights });
    // Of the stack of queries, keys and values the ends alone; of each expert one matrix of two.
    const targets = ["q_proj", "v_proj", "gate_up_proj"];
    const update = { rank: 2, scale: 1.5 };
    const names = [...linearLayers(config).keys()]
      .filter((name) => targets.some((target) => name.endsWith(target)));
    const modules = new Map(names.map((name) => [name, update]));
    const parameters = new Parameters(config, false, { modules, dropout: 0 });
    const parts = parameters.updateParts;
    const values = new Map(parts.map(({ name, shape }, i) => {
      const numbers = new Float32Array(sizeOf(shape));
      new Random(5, i).fillNormal(numbers, 0.1);
      return [name, numbers];
    }));
    await Deno.mkdir(`${dir}/adapter`);
    await writeAdapterFiles(`${dir}/adapter`, {
      ...{ parts, dtype: "F32", tensors: (name) => values.get(name)! },
      files: {
        "adapter_config.json": JSON.stringify({ peft_type: "LORA", r: 2, lora_alpha: 3 }),
      },
    });
    const on = { gpu, precision: "f32" } as const;
    const adapted = await loadModel(`${dir}/base`, { ...on, adapter: `${dir}/adapter` });
    await exportModel(`${dir}/base`, `${dir}/folded`, { adapter: `${dir}/adapter`, merge: true });
    const folded = await loadModel(`${dir}/folded`, on);
    const ids = inputIds.map((row) => row.slice(0, 12));
    const logits = await adapted.logits(ids);
    assert(relativeError(logits, await folded.logits(ids)) < 1e-5);
    folded.close();

    await parameters.load(gpu, ({ name }) => weights(name));
    await parameters.loadUpdates(gpu, ({ name }) => values.get(name)!);
    const step = await TrainingStep.plan(gpu, parameters, {
      ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1e9 },
      ...{ tokens: ids.flat().length, sequences: ids.length },
    });
    const batch = { inputs: ids, labels: ids.map((row) => [...row.slice(1), -100]) };
    step.accumulate(batch, 1 / (ids.length * 11));
    const gradients = new Map<string, Float32Array>();
    for (const { name, tensor, first, shape } of parts) {
      gradients.set(name, await download(gpu, tensor.gradient!, first, sizeOf(shape)));
    }
    await step.update(0, 1);
    const all = [...gradients.values()].flatMap((each) => [...each]);
    const norm = Math.hypot(...all);
    const lossAt = async (distance: number) => {
      await parameters.loadUpdates(gpu, ({ name }) => {
        const gradient = gradients.get(name)!;
        return values.get(name)!.map((value, i) => value + distance * gradient[i] / norm);
      });
      return (await step.run([batch], 0, 1)).loss;
    };
    const distance = 0.005 / norm;
    const slope = (await lossAt(distance) - await lossAt(-distance)) / (2 * distance);
    assert(Math.abs(slope / norm - 1) < 0.01, `${slope} against ${norm}`);
    step.destroy();
    adapted.close();
    parameters.destroy();
  }));
