/** Which model a command takes where none is named. */
import { assertEquals, assertRejects } from "@std/assert";
import { EXAMPLES_FILE, modelInWords, newestRun } from "../../model/host/run-folder.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

/** Makes a run that saved a checkpoint at a time, in seconds. */
async function saveRun(run: string, step: string, time: number): Promise<void> {
  const checkpoint = `${run}/checkpoints/step-${step}`;
  await Deno.mkdir(checkpoint, { recursive: true });
  await Deno.utime(checkpoint, time, time);
}

Deno.test("the newest run is the one that saved last, whatever its name", () =>
  inTemporaryFolder(async (dir) => {
    await assertRejects(() => newestRun("any", `${dir}/none`), UserError, "task pretrain first");
    await saveRun(`${dir}/dpo`, "0000061", 1000);
    await saveRun(`${dir}/novels`, "0000009", 3000);
    await assertRejects(() => newestRun("fine-tuned", dir), UserError, "task sft first");
    await saveRun(`${dir}/sft`, "0000224", 2000);
    await Deno.mkdir(`${dir}/eval`);
    for (const run of ["dpo", "sft"]) {
      await Deno.writeTextFile(`${dir}/${run}/${EXAMPLES_FILE}`, "");
    }
    assertEquals(await newestRun("any", dir), `${dir}/novels`);
    assertEquals(await newestRun("fine-tuned", dir), `${dir}/sft`);
    assertEquals(await modelInWords(`${dir}/sft`), `${dir}/sft, step 224`);
    assertEquals(await modelInWords(`${dir}/sft/checkpoints/step-0000224`), `${dir}/sft, step 224`);
    assertEquals(await modelInWords("steel-tang"), "steel-tang");
  }));
