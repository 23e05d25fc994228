/** The settings of fine-tuning: what sets are asked for, and the recipes of the paper. */
import { assertEquals, assertRejects } from "@std/assert";
import { parseSetChoice } from "../../data/instructions/mix-sets.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadDpoSettings } from "../../train/settings/dpo-settings.ts";
import { loadSftSettings } from "../../train/settings/sft-settings.ts";

const train = new URL("../../train/", import.meta.url).pathname;

Deno.test("sets are asked for as a list, with amounts, on the command line or in YAML", async () => {
  const { data } = await loadSftSettings(["--data.sets=alpaca_zh", "--data.sets=alpaca_en: 0.2"]);
  assertEquals(data.sets, ["alpaca_zh", "alpaca_en: 0.2"]);
  const config = `${train}mixtures/fifth-english.yaml`;
  const settings = await loadSftSettings(["--config", config]);
  assertEquals(settings.data.sets.at(-1), "webinstruct: 0.2");
  await assertRejects(() => loadSftSettings(["--data.mix=size"]), UserError, "fraction or weight");
});

Deno.test("the paper's recipes and each of the mixtures load, one over the other", async () => {
  for (const { name } of Deno.readDirSync(`${train}mixtures`)) {
    const { data, train: recipe } = await loadSftSettings([
      ...["--config", `${train}sft-steel-1b.yaml`],
      ...["--config", `${train}mixtures/${name}`],
    ]);
    assertEquals(
      [recipe.learningRate, recipe.batch, recipe.epochs, data.cutoff, data.unseenAnswers],
      [2e-5, 256, 4, 768, false],
    );
    data.sets.forEach(parseSetChoice);
  }
  const { loss, train: recipe } = await loadDpoSettings(["--config", `${train}dpo-steel-1b.yaml`]);
  assertEquals([loss.kind, loss.beta], ["sigmoid", 0.1]);
  assertEquals([recipe.learningRate, recipe.batch, recipe.epochs], [5e-6, 128, 3]);
});
