/** What a run's folder and text may be found to be, each named in one line. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { exists } from "../../data/files/exists.ts";
import { aloneOn } from "../../kernels/ranks/communicator.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { checkpointsOf } from "../../model/host/run-folder.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { pretrain } from "../../train/pretrain.ts";
import { contentsOf } from "../folder-contents.ts";
import { gpu } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { record } from "./ranks-program.ts";
import { tinySettings } from "./tiny-run.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";

/** The message with which pretraining refuses to begin. */
async function refusal(dir: string, ...more: string[]): Promise<string> {
  const settings = await tinySettings(dir, ...more);
  return (await assertRejects(() => pretrain(settings), UserError)).message;
}

/** Runs `refused`, which must change nothing in the run's folder. */
async function assertUntouched(run: string, refused: () => Promise<void>): Promise<void> {
  const before = await contentsOf(run);
  await refused();
  assertEquals(await contentsOf(run), before);
}

Deno.test("text that cannot be trained on is refused with its place", () =>
  inTemporaryFolder(async (dir) => {
    const texts = {
      '{"text": "iron"}\n{"text": "steel"\n': "made-up.jsonl, line 2: it is not JSON",
      '{"text": "iron"}\n\n{"txt": "steel"}\n': 'made-up.jsonl, line 3: it has no field "text"',
      '{"text": 3}\n': 'made-up.jsonl, line 1: the field "text" is not text',
      "": "the text to train on (documents are held out whole; data.heldOut is 0.2) is empty",
    };
    for (const [text, expected] of Object.entries(texts)) {
      await Deno.writeTextFile(`${dir}/made-up.jsonl`, text);
      const settings = await tinySettings(dir);
      settings.data.source = [`${dir}/made-up.jsonl`];
      const { message } = await assertRejects(() => pretrain(settings), UserError);
      assertStringIncludes(message, expected);
    }
    assertStringIncludes(await refusal(dir, "--data.source=none.jsonl"), "none.jsonl");
    const long = ["--data.sequence=9000", "--model.max_position_embeddings=9000"];
    assertStringIncludes(await refusal(dir, ...long), "but one block takes 9001");
    assertStringIncludes(
      await refusal(dir, "--data.heldOut=1e-9"),
      "data.heldOut is 1e-9, more holds out more) is empty",
    );
    assertStringIncludes(await refusal(dir, "--data.sequence=65"), "max_position_embeddings, 64");
    const uneven = ["--model.num_attention_heads=3", "--model.num_key_value_heads=3"];
    const message = await refusal(dir, ...uneven, "--data.source=none.jsonl");
    assertStringIncludes(message, '"hidden_size" is 16', "told before text is read");
  }));

Deno.test("a run's folder with other settings, other text or damage is refused, and nothing in it changes", () =>
  inTemporaryFolder(async (dir) => {
    const run = `${dir}/run`;
    const steps = ["--train.steps=2", "--train.warmupSteps=1", "--train.precision=auto"];
    (await pretrain(await tinySettings(dir, ...steps)))!.close();
    const [, { shareOfPeak }] = readMetrics(`${run}/metrics.jsonl`);
    const { timestamps, cpu } = gpu.capabilities;
    assertEquals(shareOfPeak > 0, timestamps && !cpu, "measured after the first step");
    const [was, now] = /precision: f32/.test(await Deno.readTextFile(`${run}/settings.yaml`))
      ? ["f32", "mixed"]
      : ["mixed", "f32"];
    assertStringIncludes(
      await refusal(dir, ...steps, `--train.precision=${now}`),
      gpu.capabilities.f16 ? `train.precision was "${was}" and is now "${now}"` : "has no f16",
    );
    const weights = await Deno.readFile(`${run}/checkpoints/step-0000002/model.safetensors`);

    assertEquals(
      await refusal(dir, ...steps, "--train.learningRate=0.5", "--model.n_experts=3"),
      `${run} holds a run with other settings: model.n_experts was 2 and is now 3; ` +
        `train.learningRate was 0.002 and is now 0.5. Go on with the settings it was started ` +
        `with, or start another run with --run.dir. As it has ended, it can go on for more ` +
        `train.steps.`,
    );

    // A checkpoint without checksums: what is wrong with each file is told in its own words.
    await Deno.remove(`${run}/checkpoints/step-0000002/checksums.json`);
    const damages: [file: string, content: string, expected: string][] = [
      ["settings.yaml", "train: [", "settings.yaml: the settings that this run was started with"],
      ["settings.yaml", "3", "settings.yaml: the settings that this run was started with"],
      ["metrics.jsonl", "notes\n", "metrics.jsonl:1: not a measurement"],
      ["facts.json", "{", "facts.json"],
      ["checkpoints/step-0000002/training-state.json", "{", "not valid JSON"],
      ["checkpoints/step-0000002/training-state.json", '{"step":"two"}', '"step"'],
      ["checkpoints/step-0000002/training-state.json", '{"step":2,"tokens":9}', '"position"'],
      ["checkpoints/step-0000002/training-state.json", '{"position":{"index":-1}}', '"position"'],
      ["checkpoints/step-0000002/vocabulary.json", "{}", "its vocabulary is not that of the text"],
      ["checkpoints/step-0000002/optimizer.safetensors", "short", "cut off"],
      ["checkpoints/step-0000002/model.safetensors", "short", "cut off"],
    ];
    for (const [file, content, expected] of damages) {
      const whole = await Deno.readFile(`${run}/${file}`);
      await Deno.writeTextFile(`${run}/${file}`, content);
      await assertUntouched(run, async () => {
        // A setting that may change, which would show if it were kept.
        const message = await refusal(dir, ...steps, "--train.validateEvery=7");
        assertStringIncludes(message, expected);
      });
      await Deno.writeFile(`${run}/${file}`, whole);
    }

    const settings = await tinySettings(dir, ...steps, "--train.validateEvery=7");
    const text = await Deno.readTextFile(`${dir}/text.jsonl`);
    await Deno.writeTextFile(`${dir}/text.jsonl`, text.replace("hard", "by"));
    await assertUntouched(run, async () => {
      const { message } = await assertRejects(() => pretrain(settings), UserError);
      assertStringIncludes(message, "this is not the text that the run was started with");
    });

    // As an earlier version left it, which did not know this setting.
    const saved = await Deno.readTextFile(`${run}/settings.yaml`);
    await Deno.writeTextFile(`${run}/settings.yaml`, saved.replace(/ +headGradient: whole\n/, ""));
    (await pretrain(await tinySettings(dir, ...steps, "--train.keepCheckpoints=1")))!.close();
    const after = await Deno.readFile(`${run}/checkpoints/step-0000002/model.safetensors`);
    assertEquals(after, weights);
  }));

Deno.test("nothing is written while another rank may still refuse the run", () =>
  inTemporaryFolder(async (dir) => {
    const other = new UserError("rank 1 refuses the run");
    const ranks = { ...aloneOn("here"), barrier: () => Promise.reject(other) };
    const run = { name: "f32", dir: `${dir}/run` } as const;
    await assertRejects(() => record(gpu, run, ranks), UserError, other.message);
    assert(!await exists(run.dir));
  }));

Deno.test("a step that is not finite stops the run by its number and leaves the last checkpoint", () =>
  inTemporaryFolder(async (dir) => {
    const tooFast = ["--train.learningRate=1e18", "--train.warmupSteps=0"];
    const message = await refusal(dir, ...tooFast, "--train.checkpointEvery=1");
    assertMatch(
      message,
      /^Step 2: loss .* not finite\. The weights were not updated; there is the/,
    );
    assertStringIncludes(message, "the checkpoint of step 1");
    using checkpoint = await openCheckpoint(`${dir}/run/checkpoints/step-0000001`);
    assertEquals(checkpoint.config.hiddenSize, 16);
  }));

Deno.test("weights that an update made NaN are not saved, and the run says so", () =>
  inTemporaryFolder(async (dir) => {
    const message = await refusal(dir, "--train.learningRate=8e37", "--train.warmupSteps=0");
    assertMatch(
      message,
      /^Step 1: the update made weights that are not finite .* no checkpoint yet/,
    );
    assertEquals(await checkpointsOf(`${dir}/run`), []);
  }));

Deno.test("of two runs at once in one folder, the second is refused and the first loses nothing", () =>
  inTemporaryFolder(async (dir) => {
    const settings = await tinySettings(dir);
    const first = pretrain(settings, { gpu, onStart: () => started.resolve() });
    const started = Promise.withResolvers<void>();
    await started.promise;
    await assertRejects(
      () => pretrain(settings, { gpu }),
      UserError,
      `${dir}/run: another process writes here: `,
    );
    await first;
    const steps = readMetrics(`${dir}/run/metrics.jsonl`).map(({ step }) => step);
    assertEquals(steps, [1, 2, 3, 4, 5, 6, 7, 8]);
    await pretrain(settings, { gpu }); // the lock has gone with the first
  }));
