/** A run that is killed or stopped goes on as if nothing had happened, bit for bit. */
import { assert, assertEquals } from "@std/assert";
import { exists } from "../../data/files/exists.ts";
import { newestCheckpoint } from "../../model/host/run-folder.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { commandOf, isPartial, killAt, result, startRun } from "./child-run.ts";
import { tinyRun } from "./tiny-run.ts";

/** Presses Ctrl-C as soon as a step has been shown. Returns all that the run said. */
async function stopAfterAStep(child: Deno.ChildProcess): Promise<string> {
  let text = "";
  let pressed = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (!pressed && /step \d\/8/.test(text)) {
      pressed = true;
      child.kill("SIGINT");
    }
  }
  await child.stderr.cancel();
  assertEquals((await child.status).code, 130, "what follows it with && is not to begin");
  return text;
}

Deno.test("a run killed while saving and while training, and stopped by Ctrl-C, ends the same", () =>
  inTemporaryFolder(async (dir) => {
    const args = await tinyRun(dir);
    const start = (...more: string[]) => startRun("pretrain", [...args, ...more], dir);
    const whole = await start(`--run.dir=${dir}/whole`).output();
    assertEquals(whole.code, 0, new TextDecoder().decode(whole.stderr));

    await Deno.mkdir(`${dir}/run/checkpoints`, { recursive: true });
    let killedWhileSaving = 0;
    for (const moment of [{ saving: 2 }, { measured: 3 }, { saving: 4 }]) {
      await killAt(moment, `${dir}/run`, start());
      const names = [...Deno.readDirSync(`${dir}/run/checkpoints`)].map(({ name }) => name);
      const { saving } = moment;
      if (saving && names.some((name) => isPartial(name, saving))) killedWhileSaving++;
    }
    // A save may be over before the signal arrives, but hardly every time.
    assert(killedWhileSaving > 0);

    const said = await stopAfterAStep(start());
    assert(/Stopped after step [3-7], which is saved/.test(said), said);

    const last = await start().output();
    const text = new TextDecoder().decode(last.stdout);
    assertEquals(last.code, 0, new TextDecoder().decode(last.stderr));
    assert(/Validation loss [\d.]+ nats .* unigram entropy/.test(text), text);
    const ended = await result(`${dir}/run`, 8);
    const expected = await result(`${dir}/whole`, 8);
    // The step at which it was stopped was validated, whether or not it was its turn.
    const stopped = Number(/Stopped after step (\d)/.exec(said)![1]) - 1;
    expected.losses[stopped][2] = ended.losses[stopped][2];
    assertEquals(ended, expected);
  }));

Deno.test("a run stopped by Ctrl-C during a validation saves the step before it", () =>
  inTemporaryFolder(async (dir) => {
    // A step is shown before its validation; the first takes longest.
    const args = await tinyRun(dir, "--train.validateEvery=1", "--train.checkpointEvery=8");
    const said = await stopAfterAStep(startRun("pretrain", args, dir));
    const step = /Stopped after step (\d), which is saved/.exec(said)?.[1];
    assertEquals(await newestCheckpoint(`${dir}/run`), `${dir}/run/checkpoints/step-000000${step}`);
  }));

Deno.test({
  name:
    "on a terminal, Ctrl-C is answered above the bar, and a second one leaves the terminal whole",
  // Of util-linux, which makes a terminal; others of this name take other arguments.
  ignore: Deno.build.os !== "linux" || !await exists("/usr/bin/script"),
  fn: () =>
    inTemporaryFolder(async (dir) => {
      const all = ["--train.steps=5000", "--train.validationBlocks=0", "--data.heldOut=0.5"];
      const command = commandOf("pretrain", await tinyRun(dir, ...all)).join(" ");
      const child = new Deno.Command("/usr/bin/script", {
        args: ["--quiet", "--return", "--flush", "--command", command, "/dev/null"],
        cwd: dir,
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const keys = child.stdin.getWriter();
      const awaited = ["step 2/", "Finishing"];
      let text = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (!text.includes(awaited[0])) continue;
        awaited.shift();
        await keys.write(new TextEncoder().encode("\x03"));
      }
      assertEquals((await child.status).code, 130);
      assert(text.includes("\x1b[2KFinishing this step"), "on a line of its own");
      assert(!text.includes("\x1b[?7l"), "the bar does not switch the wrapping of lines off");
      await keys.close();
    }),
});
