/**
 * A small Llama with a chat template of its own is taught by adapters: SFT, then DPO, each folded in;
 * what is written has the layout of what was loaded.
 */
import { assert, assertAlmostEquals, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { exists } from "../../data/files/exists.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { exportModel } from "../../model/host/export-model.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { openSafetensors } from "../../model/host/open-checkpoint.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { parseConfig } from "../../model/network/config.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { optimizePreferences } from "../../train/dpo.ts";
import { newAdapter } from "../../train/lora.ts";
import { requireSameRun } from "../../train/run/same-run.ts";
import type { TrainingStage } from "../../train/run/stage.ts";
import { loadDpoSettings } from "../../train/settings/dpo-settings.ts";
import { loadSftSettings } from "../../train/settings/sft-settings.ts";
import { superviseFineTuning } from "../../train/sft.ts";
import { relativeError } from "../kernels/harness.ts";
import { ranksInProcess } from "../kernels/ranks/in-process.ts";
import { gpu } from "../model/golden-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { writeTinyLlama } from "./tiny-llama.ts";

/** What both stages are told. */
const argumentsOf = (dir: string, model: string, set: string, run: string) => [
  ...[`--model.path=${dir}/${model}`, `--data.sets=${dir}/${set}`, `--run.dir=${dir}/${run}`],
  ...["--data.heldOut=0", "--data.cutoff=64", "--train.batch=2", "--train.checkpointEvery=4"],
  ...["--train.precision=f32", "--lora.rank=4"],
  ...["--lora.targets=self_attn.v_proj", "--lora.targets=down_proj"],
];

Deno.test("adapters: SFT, stopped and resumed bit for bit, folded in; DPO against the base", () =>
  inTemporaryFolder(async (dir) => {
    await writeTinyLlama(dir);
    const sft = (run: string, ...more: string[]) =>
      loadSftSettings([
        ...argumentsOf(dir, "base", "set.json", run),
        ...["--train.steps=12", "--train.learningRate=2e-2", "--lora.dropout=0.1", ...more],
      ]);
    const messages: string[] = [];
    const model = (await superviseFineTuning(await sft("sft"), {
      gpu,
      onMessage: (text) => messages.push(text),
    }))!;
    assert(
      messages.some((text) => text.includes("learnt:  I am iron.<|endoftext|>")),
      `${messages}`,
    );
    const stop = new AbortController();
    await superviseFineTuning(await sft("stopped"), {
      gpu,
      signal: stop.signal,
      onStep: ({ step }) => step === 5 && stop.abort(),
    });
    const base = `${dir}/base/model.safetensors`;
    const weights = await Deno.readFile(base);
    await Deno.writeFile(base, weights.with(-1, weights.at(-1)! ^ 1));
    const { message } = await assertRejects(
      async () => await superviseFineTuning(await sft("stopped"), { gpu }),
      UserError,
    );
    const sum = String.raw`[\d,]+ bytes with CRC-32 [\da-f]{8}`;
    assertMatch(
      message,
      new RegExp(`^${base}: .* this is ${sum}, but was ${sum} when .*"base" in ${dir}/stopped`),
    );
    await Deno.writeFile(base, weights);
    (await superviseFineTuning(await sft("stopped"), { gpu }))!.close();
    const last = `checkpoints/step-0000012`;
    for (const name of ["adapter_model.safetensors", "optimizer.safetensors"]) {
      const [whole, resumed] = await Promise.all(
        ["sft", "stopped"].map((run) => Deno.readFile(`${dir}/${run}/${last}/${name}`)),
      );
      assertEquals(resumed, whole, name);
    }
    assert(!await exists(`${dir}/sft/${last}/model.safetensors`), "only the adapter is saved");
    const losses = readMetrics(`${dir}/sft/metrics.jsonl`).map(({ loss }) => loss);
    assert(losses.at(-1)! < losses[0] - 0.05, `${losses}`);

    // The model in memory, the adapter read back, and the weights with the adapter folded in agree.
    const ids = [model.tokenizer.encode("Q: who are you\nA:")];
    const logits = await model.logits(ids);
    model.close();
    const adapted = await loadModel(`${dir}/sft`, { gpu, precision: "f32" });
    assertEquals(await adapted.logits(ids), logits);
    adapted.close();
    await assertRejects(() => exportModel(`${dir}/sft`, `${dir}/x`), UserError, "give --merge");
    await exportModel(`${dir}/sft`, `${dir}/merged`, { merge: true });
    const merged = await loadModel(`${dir}/merged`, { gpu, precision: "f32" });
    assert(relativeError(await merged.logits(ids), logits) < 1e-5);
    merged.close();

    const progress: string[] = [];
    const dpo = async (model: string) =>
      await optimizePreferences(
        await loadDpoSettings([
          ...argumentsOf(dir, model, "pairs.json", "dpo"),
          ...["--train.steps=6", "--train.learningRate=1e-2"],
        ]),
        {
          gpu,
          onProgress: ({ task, done, total, unit }) =>
            progress.push(`${task} ${done}/${total} ${unit}`),
        },
      );
    await assertRejects(() => dpo("sft"), UserError, "Fold it into its base model first");
    (await dpo("merged"))!.close();
    assertEquals(progress, ["reference 0/4 answers", "reference 4/4 answers"]);
    const [first, ...rest] = readMetrics(`${dir}/dpo/metrics.jsonl`);
    assertAlmostEquals(first.loss, Math.LN2, 1e-6);
    assertEquals([first.chosenReward, first.rejectedReward], [0, 0]);
    assert(rest.at(-1)!.margin > 0, `${rest.at(-1)!.margin}`);

    await exportModel(`${dir}/dpo`, `${dir}/done`, { merge: true });
    const config = async (name: string) =>
      JSON.parse(await Deno.readTextFile(`${dir}/${name}/config.json`));
    assertEquals(await config("done"), await config("base"));
    const shapesOf = async (name: string) => {
      using file = await openSafetensors(`${dir}/${name}/model.safetensors`);
      return Array.from(file.tensors, ([name, { shape, dtype }]) => [name, shape, dtype]);
    };
    assertEquals(await shapesOf("done"), await shapesOf("base"));
  }));

Deno.test("layers that can have no update are refused by name", () =>
  inTemporaryFolder(async (dir) => {
    await writeTinyLlama(dir);
    const refused: Record<string, string> = {
      "embed_tokens": `"embed_tokens" (model.embed_tokens.weight) is no linear layer`,
      "input_layernorm": `"input_layernorm" (model.layers.0.input_layernorm.weight) is no linear`,
      "q_prj": `no layer "q_prj"; did you mean "q_proj"?`,
    };
    for (const [name, expected] of Object.entries(refused)) {
      const settings = await loadSftSettings([
        ...argumentsOf(dir, "base", "set.json", "run").slice(0, -2),
        `--lora.targets=${name}`,
      ]);
      await assertRejects(() => superviseFineTuning(settings, { gpu }), UserError, expected);
      assert(!await exists(`${dir}/run/settings.yaml`));
    }
  }));

Deno.test("ranks that differ in an adapter's scale, the base or the loss alone are refused", async () => {
  const config = parseConfig({
    ...{ vocab_size: 8, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 },
    ...{ intermediate_size: 24, max_position_embeddings: 8 },
  }, "test");
  type Given = [alpha: number, crc32: string, beta: number];
  const stage = (...[alpha, crc32, beta]: Given) => {
    const lora = { rank: 2, alpha, dropout: 0, targets: ["all-linear"] };
    const parameters = new Parameters(config, false, newAdapter(config, lora, "base")!.adaptation);
    const base = { path: "base", weights: { "model.safetensors": { bytes: 4096, crc32 } } };
    const rest = { name: "dpo", dir: "run", room: {}, training: {}, heldOut: [], loss: { beta } };
    const source = { position: () => 0 };
    return { ...rest, gpu, base, parameters, source } as unknown as TrainingStage;
  };
  const same: Given = [4, "0badcafe", 0.1];
  const together = (...other: Given) => {
    const ranks = ranksInProcess(2);
    return Promise.all(
      [same, other].map((each, i) => requireSameRun(ranks[i], stage(...each), () => {})),
    );
  };
  await together(...same);
  await assertRejects(() => together(8, "0badcafe", 0.1), UserError, "adapter is");
  await assertRejects(
    () => together(4, "0badbeef", 0.1),
    UserError,
    "base/model.safetensors is 4,096 bytes with CRC-32 0badbeef, and 4,096 bytes with CRC-32 " +
      "0badcafe there",
  );
  await assertRejects(
    () => together(4, "0badcafe", 0.2),
    UserError,
    "loss.beta is 0.2, and 0.1 there",
  );
});
