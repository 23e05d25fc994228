import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseConfig } from "../../model/network/config.ts";
import { flopsPerToken } from "../../train/step/flops.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { examAccuracy } from "../../train/run/exam-accuracy.ts";
import { statusText } from "../../train/run/step-status.ts";
import { terminalReport } from "../../train/run/terminal-report.ts";
import { gpu } from "../model/golden-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { writePruned } from "../model/pruned-model.ts";

/** What is written to stdout, which is no terminal in tests. */
async function printed(run: () => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => void lines.push(line);
  try {
    await run();
  } finally {
    console.log = log;
  }
  return lines;
}

Deno.test("progress: an exam shows how many of its questions have an answer", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(dir, false);
    const config = JSON.parse(await Deno.readTextFile(`${dir}/config.json`));
    const longer = { ...config, max_position_embeddings: 256 };
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(longer));
    const model = await loadModel(dir, { gpu, precision: "f32" });
    const exam = { kind: "", question: "you", options: ["I", "am", "iron", "you"], answer: "C" };
    const question = { kind: "form" as const, exam, chat: "", right: "", wrong: "" };
    const questions = Array(3).fill({ ...question, wrongLetter: "A" });
    using report = terminalReport();
    const lines = await printed(async () => {
      const show = (done: number) =>
        report.onProgress!({ task: "exam", done, total: 3, unit: "questions", status: "" });
      show(0);
      await examAccuracy(model, questions, show);
    });
    model.close();
    assertEquals(lines.length, 1, `${lines}`);
    assertStringIncludes(lines[0], "exam 3/3  ");
  }));

Deno.test("progress: the status of a step", () => {
  const status = { loss: 5.12345, learningRate: 3e-4, tokensPerSecond: 12344.6 };
  assertEquals(statusText(status), "loss 5.123  lr 3.00e-4  12,345 tok/s");
  assertStringIncludes(statusText({ ...status, shareOfPeak: 0.414 }), "41 % of peak");
});

Deno.test("progress: the operations of a token are those of every matrix it is multiplied by", () => {
  const sizes = { hidden_size: 8, num_attention_heads: 2, num_key_value_heads: 1, vocab_size: 10 };
  const config = parseConfig({ ...sizes, num_hidden_layers: 1, intermediate_size: 16 }, "dense");
  const [attention, feedForward, head] = [8 * 8 + 2 * 8 * 4 + 8 * 8, 3 * 8 * 16, 8 * 10];
  const scoresAndValues = 2 * 8 * 6 / 2; // half of 6 tokens
  assertEquals(
    flopsPerToken(config, 6),
    3 * 2 * (attention + feedForward + head + scoresAndValues),
  );
});
