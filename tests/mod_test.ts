/** What another project does with this one, through `mod.ts` alone. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  exportModel,
  loadModel,
  loadPretrainSettings,
  openCheckpoint,
  pretrain,
  readMetrics,
  renderChat,
  UserError,
} from "../mod.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";
import { tinyRun } from "./train/tiny-run.ts";

Deno.test("train, load, ask, export and load again, through mod.ts", () =>
  inTemporaryFolder(async (dir) => {
    const settings = await loadPretrainSettings(await tinyRun(dir, "--train.steps=2"));
    const trained = await pretrain(settings);
    assertEquals(readMetrics(`${dir}/run/metrics.jsonl`).map(({ step }) => step), [1, 2]);

    const checkpoint = `${dir}/run/checkpoints/step-0000002`;
    using newest = await openCheckpoint(`${dir}/run`);
    assertEquals(newest.dir, checkpoint);
    const model = await loadModel(checkpoint, { gpu: "auto", precision: "f32" });
    const ids = model.tokenizer.encode("steel is iron");
    const inputIds = [ids, ids.slice(0, 2)];
    const logits: Float32Array = await model.logits(inputIds);
    assertEquals(logits.length, 2 * ids.length * model.config.vocabSize);
    assertEquals(logits, await trained!.logits(inputIds));

    const labels = [[...ids.slice(1), -100], [ids[1], -100]];
    const logProbs: number[][] = await model.logProbs(inputIds, labels);
    assertEquals(logProbs.map(({ length }) => length), [ids.length, 2]);
    assertEquals(logProbs[1][1], 0);
    // By hand from the logits: ln p = logit − ln Σ exp.
    const row = logits.subarray(0, model.config.vocabSize);
    const byHand = row[ids[1]] - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    assert(Math.abs(logProbs[0][0] - byHand) < 1e-5);

    const options = { maxTokens: 8, temperature: 1, seed: 7, stopIds: [] };
    const tokens = await Array.fromAsync(model.generate("steel is", options));
    assertEquals(tokens.length, 8);
    const chat = renderChat([{ role: "user", content: "iron" }], { addGenerationPrompt: true });
    assert(
      (await Array.fromAsync(model.generate(model.tokenizer.encode(chat), options))).length > 0,
    );

    await exportModel(checkpoint, `${dir}/exported`, { dtype: "BF16" });
    using exported = await openCheckpoint(`${dir}/exported`);
    assertEquals(exported.config.vocabSize, 151936);
    trained!.close();
    model.close();
  }));

Deno.test("what cannot be asked of a model is refused by name", () =>
  inTemporaryFolder(async (dir) => {
    await assertRejects(() => loadModel(`${dir}/none`), UserError, "none: there is no checkpoint");
    const model = (await pretrain(
      await loadPretrainSettings(await tinyRun(dir, "--train.steps=1", "--train.warmupSteps=0")),
    ))!;
    const { vocabSize, maxPositions } = model.config;
    const generate = (prompt: string | number[], options = {}) =>
      Array.fromAsync(model.generate(prompt, options));
    const cases: [() => Promise<unknown>, string][] = [
      [() => model.logits([]), "There is no sequence"],
      [() => model.logits([[1], []]), "Sequence 1 is empty"],
      [() => model.logits([[vocabSize]]), `token id ${vocabSize}`],
      [() => model.logits([Array(maxPositions + 1).fill(1)]), "max_position_embeddings"],
      [() => model.logProbs([[1, 2]], [[1]]), "Sequence 0 has 2 tokens, but 1 labels"],
      [() => model.logProbs([[1]], []), "1 sequences, but labels for 0"],
      [() => model.logProbs([[1]], [[-1]]), "the label -1"],
      [() => model.choiceLogits([[1]], [vocabSize]), `Token id ${vocabSize} is no choice`],
      [() => generate(""), "The prompt is empty"],
      [() => generate(Array(maxPositions).fill(1)), "leave no room"],
      [() => generate([1], { maxTokens: NaN }), "maxTokens is NaN; expected a whole number"],
      [
        () => generate([1], { temperature: -1 }),
        "temperature is -1; expected a number of at least",
      ],
      [
        () => generate([1], { topP: 2 }),
        "topP is 2; expected a number of at least 0 and at most 1",
      ],
    ];
    for (const [ask, expected] of cases) await assertRejects(ask, UserError, expected);
    assertEquals((await model.logits([[1]])).length, vocabSize);
    model.close();
  }));
