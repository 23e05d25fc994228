/** A run as a library call: it reports through callbacks, prints nothing and stops when told to. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { pretrain } from "../../train/pretrain.ts";
import type { RunOptions, TrainedStep } from "../../train/run/run-options.ts";
import { gpu } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { result } from "./child-run.ts";
import { tinySettings } from "./tiny-run.ts";

/** What is printed while `use` runs. */
async function printed(use: () => Promise<void>): Promise<unknown[][]> {
  const { log, error } = console;
  const lines: unknown[][] = [];
  console.log = console.error = (...values) => lines.push(values);
  try {
    await use();
  } finally {
    Object.assign(console, { log, error });
  }
  return lines;
}

Deno.test("a run tells of its steps, is stopped by its signal, and ends as if it had not been", () =>
  inTemporaryFolder(async (dir) => {
    const settings = await tinySettings(dir);
    await pretrain({ ...settings, run: { dir: `${dir}/whole` } }, { gpu });

    const stop = new AbortController();
    const messages: string[] = [];
    const events: string[] = [];
    const steps: TrainedStep[] = [];
    const options: RunOptions = {
      gpu,
      signal: stop.signal,
      onMessage: (text) => messages.push(text),
      onStart: (done, steps) => events.push(`start ${done}/${steps}`),
      onStep(step) {
        steps.push(step);
        events.push(`step ${step.step}/${step.steps}`);
        if (step.step === 3) stop.abort();
      },
      onValidation: (step, { loss }) => events.push(`validation ${step} ${loss > 0}`),
      onCheckpoint: (folder) => events.push(folder.slice(dir.length)),
      onEnd: () => events.push("end"),
    };
    const lines = await printed(async () => {
      assertEquals(await pretrain(settings, options), undefined);
    });
    assertEquals(lines, [], "only commands print");
    // The checkpoint of step 2 is whole at any moment before the next one.
    const second = "/run/checkpoints/step-0000002";
    assertEquals(events.filter((event) => event !== second), [
      ...["start 0/8", "step 1/8", "step 2/8", "step 3/8", "validation 3 true"],
      ...["/run/checkpoints/step-0000003", "end"],
    ]);
    const place = events.indexOf(second);
    assert(events.indexOf("step 2/8") < place && place < events.length - 2, events.join());
    assertStringIncludes(messages[0], "tokens to train on");
    assertStringIncludes(messages[1], "of GPU memory");
    assertMatch(messages[2], /^Time: \d+ s: start .*steps .*validation .*checkpoints .* tokens\/s/);
    assertEquals(messages[3], "Stopped after step 3, which is saved.");
    assertEquals([steps[2].tokens, steps[2].learningRate], [3 * 64, 2e-3]);
    assert(steps.every(({ loss, tokensPerSecond }) => loss > 0 && tokensPerSecond > 0));
    assert([...Deno.readDirSync(`${dir}/cache`)].length > 0, "data.cacheDir");

    events.length = 0;
    assertEquals(await pretrain(settings, options), undefined, "a signal that was given before");
    assertEquals(events, ["start 3/8", "end"]);

    const model = await pretrain(settings, { gpu });
    const ended = await result(`${dir}/run`, 8);
    const expected = await result(`${dir}/whole`, 8);
    expected.losses[2][2] = ended.losses[2][2]; // step 3 was validated as it was the last
    assertEquals(ended, expected);
    assert((await model!.logits([[1, 2]])).length > 0, "the device is still open");
  }));
