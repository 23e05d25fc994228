/** Damage to a checkpoint of ours is told, wherever it is; one of other programs is taken as it is. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { loadTokenizer } from "../../model/host/load-tokenizer.ts";
import { openFolder } from "../../model/host/disk-folder.ts";
import { pretrain } from "../../train/pretrain.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { tinySettings } from "./tiny-run.ts";

/** Positions in a file at which a bit is flipped: at both ends and spread between. */
const PLACES = [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1];

/** Those at which a run is started, which takes longer than to read. */
const STARTED = [0.3, 1];
const STATE = ["model.safetensors", "optimizer.safetensors", "training-state.json"];

async function verify(checkpoint: string): Promise<void> {
  using folder = await openFolder(checkpoint);
  await folder.verify();
}

Deno.test("checksums: a flipped bit in any file of a checkpoint is refused on resume and loading", () =>
  inTemporaryFolder(async (dir) => {
    const settings = await tinySettings(dir, "--train.steps=2");
    const gpu = await openGpu("auto");
    const messages: string[] = [];
    const options = { gpu, onMessage: (text: string) => messages.push(text) };
    await pretrain(settings, options);
    const checkpoint = `${dir}/run/checkpoints/step-0000002`;
    const names = [...Deno.readDirSync(checkpoint)].map(({ name }) => name);
    const whole = names.filter((name) => /^(model|config|tokenizer|generation)/.test(name));
    assert(whole.length >= 4, names.join());

    for (const name of names) {
      const path = `${checkpoint}/${name}`;
      const bytes = await Deno.readFile(path);
      for (const place of PLACES) {
        const flipped = bytes.slice();
        flipped[Math.floor(place * (bytes.length - 1))] ^= 1 << Math.floor(7 * place);
        await Deno.writeFile(path, flipped);
        await assertRejects(() => verify(checkpoint), UserError, checkpoint);
        if (STARTED.includes(place) && STATE.includes(name)) {
          await assertRejects(() => pretrain(settings, { gpu }), UserError, path);
        }
        if (whole.includes(name)) {
          await assertRejects(() => loadModel(checkpoint, { gpu }), UserError, checkpoint);
        }
      }
      await Deno.writeFile(path, bytes);
    }
    assertEquals(messages.filter((text) => text.includes("checksums")), []);

    const path = `${checkpoint}/optimizer.safetensors`;
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 1] ^= 1;
    await Deno.writeFile(path, bytes);
    const refusal = await assertRejects(() => pretrain(settings, { gpu }), UserError);
    assert(refusal.message.startsWith(`${path}: the file is damaged or was changed`));
    assert(refusal.message.includes(`Remove the folder ${checkpoint}`));

    await Deno.remove(`${checkpoint}/tokenizer.json`);
    await assertRejects(() => loadTokenizer(checkpoint), UserError, "tokenizer.json");

    // What other programs wrote has no checksums, and is taken with a word.
    await Deno.remove(`${checkpoint}/checksums.json`);
    (await loadModel(checkpoint, options)).close();
    assertEquals(
      messages.at(-1),
      `${checkpoint} has no checksums.json: its files are taken as they are.`,
    );
    gpu.close();
  }));
