/**
 * Other people's models against transformers' own numbers, computed in float64: one small checkpoint
 * of each family in Hugging Face's layout. The figures reached are printed.
 */
import { assert, assertEquals } from "@std/assert";
import { sizeOf } from "../kernels/runtime/storage.ts";
import { download } from "../kernels/runtime/transfer.ts";
import { loadModel } from "../model/host/load-model.ts";
import { openCheckpoint, openSafetensors } from "../model/host/open-checkpoint.ts";
import { writeCheckpoint } from "../model/host/write-checkpoint.ts";
import { TrainingStep } from "../train/step/training-step.ts";
import { sketch } from "./gradient-sketch.ts";
import { gpu, precisions, relativeError } from "./kernels/harness.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";

const FOLDER = new URL("golden/peers", import.meta.url).pathname;

const NAMES = (await Array.fromAsync(Deno.readDir(FOLDER))).map(({ name }) => name).toSorted();

/**
 * Bounds on ‖ours − transformers'‖ / ‖transformers'‖, in f32 about ten times what rounding was seen
 * to do. Gradients are compared by their sketches.
 */
const TOLERANCES = {
  f32: { logits: 3e-6, logProbs: 3e-6, gradients: 3e-5, losses: 3e-6 },
  mixed: { logits: 1e-2, logProbs: 1e-2, gradients: 5e-2, losses: 1e-2 },
};

interface Expected {
  input_ids: number[][];
  labels: number[][];
  losses: number[];
  grad_norms: number[];
  greedy: number[];
  prompt_length: number;
  optimizer: {
    lr: number;
    betas: [number, number];
    eps: number;
    weight_decay: number;
    clip_grad_norm: number;
  };
}

async function open(name: string) {
  const dir = `${FOLDER}/${name}`;
  const golden: Expected = JSON.parse(await Deno.readTextFile(`${dir}/expected.json`));
  return { dir, golden };
}

for (const name of NAMES) {
  for (const precision of precisions) {
    Deno.test(`${name} gives transformers' logits, gradients and steps, ${precision}`, () =>
      compareWithGolden(name, precision));
  }

  Deno.test(`${name} continues a text as transformers does, token for token`, async () => {
    const { dir, golden: { greedy, prompt_length: length } } = await open(name);
    const model = await loadModel(dir, { gpu, precision: "f32" });
    const options = { maxTokens: greedy.length - length, stopIds: [] };
    const tokens = await Array.fromAsync(model.generate(greedy.slice(0, length), options));
    assertEquals(tokens.map(({ id }) => id), greedy.slice(length));
    model.close();
  });

  Deno.test(`${name} is written as it was read`, () =>
    inTemporaryFolder(async (folder) => {
      const { dir } = await open(name);
      using read = await openCheckpoint(dir);
      await writeCheckpoint(`${folder}/written`, {
        config: read.config,
        dtype: "F32",
        tensors: (name) => read.readFloat32(name),
      });
      const json = async (dir: string) => JSON.parse(await Deno.readTextFile(`${dir}/config.json`));
      assertEquals(await json(`${folder}/written`), await json(dir));
      using before = await openSafetensors(`${dir}/model.safetensors`);
      using after = await openSafetensors(`${folder}/written/model.safetensors`);
      assertEquals([...after.tensors.keys()].toSorted(), [...before.tensors.keys()].toSorted());
      for (const [tensor, { shape }] of before.tensors) {
        assertEquals(after.info(tensor).shape, shape);
        assertEquals(await after.readFloat32(tensor), await before.readFloat32(tensor));
      }
    }));
}

Deno.test("any of several ids of generation_config.json ends a text", () =>
  inTemporaryFolder(async (folder) => {
    const { dir, golden: { greedy, prompt_length: length } } = await open("tinyllama");
    for (const file of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(`${dir}/${file}`, `${folder}/${file}`);
    }
    const eos_token_id = [2, greedy[length + 3]];
    await Deno.writeTextFile(`${folder}/generation_config.json`, JSON.stringify({ eos_token_id }));
    const model = await loadModel(folder, { gpu, precision: "f32" });
    const tokens = await Array.fromAsync(model.generate(greedy.slice(0, length)));
    assertEquals(tokens.map(({ id }) => id), greedy.slice(length, length + 3));
    model.close();
  }));

async function compareWithGolden(name: string, precision: keyof typeof TOLERANCES) {
  const { dir, golden } = await open(name);
  const { input_ids: ids, labels, losses, grad_norms: norms, optimizer } = golden;
  using expected = await openSafetensors(`${dir}/expected.safetensors`);
  const model = await loadModel(dir, { gpu, precision });
  const { parameters } = model;
  const worst: Record<string, number> = {};
  const compare = (what: keyof typeof TOLERANCES["f32"], which: string, error: number) => {
    assert(error <= TOLERANCES[precision][what], `${which} is off by ${error.toExponential(2)}`);
    worst[what] = Math.max(worst[what] ?? 0, error);
  };

  const logits = await expected.readFloat32("logits");
  compare("logits", "logits", relativeError(await model.logits(ids), logits));
  const logProbs = (await model.logProbs(ids, labels)).flat();
  const wanted = await expected.readFloat32("label_logprobs");
  compare("logProbs", "log-probabilities", relativeError(logProbs, wanted));

  const { betas: [beta1, beta2], eps: epsilon, weight_decay: weightDecay } = optimizer;
  const step = await TrainingStep.plan(gpu, parameters, {
    ...{ beta1, beta2, epsilon, weightDecay, clip: optimizer.clip_grad_norm },
    ...{ tokens: ids.flat().length, sequences: ids.length },
  });
  const targets = labels.flat().filter((label) => label !== -100).length;
  for (let number = 1; number <= 3; number++) {
    step.accumulate({ inputs: ids, labels }, 1 / targets);
    for (const { name, tensor, first, shape } of number === 1 ? parameters.parts : []) {
      const ours = await download(gpu, tensor.gradient!, first, sizeOf(shape));
      const scaled = sketch(ours.map((value) => value / step.lossScale.value));
      const error = relativeError(scaled, await expected.readFloat32(`grad.${name}`));
      compare("gradients", `gradient of ${name}`, error);
    }
    const { loss, gradientNorm } = await step.update(optimizer.lr, number);
    compare("losses", `loss ${number}`, Math.abs(loss / losses[number - 1] - 1));
    const normError = Math.abs(gradientNorm / norms[number - 1] - 1);
    compare("losses", `gradient norm ${number}`, normError);
  }
  const reached = Object.entries(worst).map(([what, e]) => `${what} ${e.toExponential(1)}`);
  console.log(`${name}, ${precision}: ${reached.join(", ")}`);
  step.destroy();
  model.close();
}
