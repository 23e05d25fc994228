/** A run that is killed or stopped goes on as if nothing had happened, bit for bit. */
import { assert, assertEquals } from "@std/assert";
import { exists } from "../../data/files/exists.ts";
import { newestCheckpoint } from "../../model/host/run-folder.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { commandOf, isPartial, killAt, result, startRun } from "./child-run.ts";
import { tinyRun } from "./tiny-run.ts";

/** Presses Ctrl-C, or sends another signal, as soon as a step has been shown. Returns all that the run said. */
async function stopAfterAStep(
  child: Deno.ChildProcess,
  signal: Deno.Signal = "SIGINT",
  status = 130,
): Promise<string> {
  let text = "";
  let pressed = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (!pressed && /step \d\/\d/.test(text)) {
      pressed = true;
      child.kill(signal);
    }
  }
  await child.stderr.cancel();
  assertEquals((await child.status).code, status, "what follows it with && is not to begin");
  return text;
}

Deno.test("a run killed while saving and while training, and stopped by SIGTERM, ends the same", () =>
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

    const said = await stopAfterAStep(start(), "SIGTERM", 143);
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
      // A pipe that nobody reads: saving does not end.
      await Deno.mkdir(`${dir}/run`);
      await new Deno.Command("mkfifo", { args: [`${dir}/run/loss.svg.unfinished`] }).output();
      const child = new Deno.Command("/usr/bin/script", {
        args: ["--quiet", "--return", "--flush", "--command", command, "/dev/null"],
        cwd: dir,
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const keys = child.stdin.getWriter();
      const awaited = [/step [1-9]\d*\//, /Finishing/];
      let text = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (!awaited[0]?.test(text)) continue;
        awaited.shift();
        // Sooner it would be the same press, which `deno task` passes on a second time.
        if (awaited.length === 0) await new Promise((resolve) => setTimeout(resolve, 400));
        await keys.write(new TextEncoder().encode("\x03"));
      }
      assertEquals((await child.status).code, 130);
      assert(text.includes("\x1b[2KFinishing this step"), "on a line of its own");
      assert(!text.includes("\x1b[?7l"), "the bar does not switch the wrapping of lines off");
      await keys.close();
    }),
});

/** Starts the command as a task, as people do. */
async function startTask(command: string, args: string[], dir: string) {
  const words = commandOf(command, args).map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(`${dir}/deno.json`, JSON.stringify({ tasks: { train: words } }));
  const task = ["task", "--quiet", `--config=${dir}/deno.json`, `--cwd=${dir}`, "train"];
  return new Deno.Command(Deno.execPath(), {
    args: task,
    cwd: dir,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test({
  name: "below deno task, Ctrl-C and SIGHUP save, and so does the end of deno task",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemporaryFolder(async (dir) => {
      const args = await tinyRun(dir, "--train.steps=100000", "--train.checkpointEvery=100000");
      const saved = /Stopped after step (\d+), which is saved/;
      for (
        const [signal, status] of [["SIGHUP", 129], ["SIGINT", 130], ["SIGKILL", 137]] as const
      ) {
        const run = `${dir}/${signal}`;
        const child = await startTask("pretrain", [...args, `--run.dir=${run}`], dir);
        // What the run says comes to its end when the run has ended, also without deno task.
        const said = await stopAfterAStep(child, signal, status);
        assert(saved.test(said), said);
        const name = `step-${saved.exec(said)![1].padStart(7, "0")}`;
        assertEquals(await newestCheckpoint(run), `${run}/checkpoints/${name}`);
        assert(!await exists(`${run}/.lock`));
      }
    }),
});
