/** Choosing from what the GPU leaves of a row against choosing from the whole row. */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { Graph } from "../../kernels/runtime/graph.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import { batchInputs, uploadBatch } from "../../model/network/batch.ts";
import { needsOf, NextTokens } from "../../model/inference/next-tokens.ts";
import { chooseAmong, chooseToken, type SamplingOptions } from "../../model/inference/sampling.ts";
import { penalized } from "./penalized.ts";
import { openTestGpu } from "../open-gpu.ts";

const gpu = await openTestGpu();
const VOCABULARY = 5000;

/** Logits of four texts, from flat to peaked, and what the texts hold: likely tokens, some twice. */
const ROWS = [0, 1, 4, 8].map((spread, seed) => {
  const row = new Float32Array(VOCABULARY);
  new Random(seed).fillNormal(row, spread);
  return row;
});
const HISTORIES = ROWS.map((row, text) => {
  const likely = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
  return [...likely.slice(0, 3 * text + 1), likely[0], 7, likely[40]];
});

const SETTINGS: SamplingOptions[] = [
  {},
  { repetitionPenalty: 1.3 },
  { temperature: 0.8, topP: 0.9 },
  { temperature: 1.5, topP: 0.3 },
  { temperature: 0.8, topP: 0 },
  { temperature: 0.001, topP: 0.8, repetitionPenalty: 1.1 },
  { temperature: 1e-9, topP: 0.8 },
  { temperature: 1, topP: 0.999, repetitionPenalty: 0.8 },
  { temperature: 1, topK: 1 },
  { temperature: 0.7, topK: 20, repetitionPenalty: 1.2, suppressIds: [HISTORIES[3][0], 11] },
  { temperature: 2, topK: 40, topP: 0.7, suppressIds: HISTORIES[2] },
  { temperature: 1, topK: 3000, topP: 0.95 },
  { temperature: 1, suppressIds: [3] },
  // The place of text 3's likeliest token, counted from the beginning of text 2's row.
  { suppressIds: [VOCABULARY + HISTORIES[3][0]] },
];

/** Next tokens of texts that hold `histories`, with `rows` as their logits. */
async function nextTokensOf(
  rows: readonly Float32Array<ArrayBuffer>[],
  histories: number[][],
  options: SamplingOptions,
): Promise<NextTokens> {
  const [texts, vocabulary] = [rows.length, rows[0].length];
  const room = { seats: texts, rows: texts };
  const next = await NextTokens.allocate(gpu, room, vocabulary, needsOf(options));
  const graph = new Graph(gpu.capabilities);
  const computed = graph.input("computed", [texts, vocabulary]);
  const batch = batchInputs(graph, 64, texts);
  const { ids, sequences: { index } } = batch;
  const ofRows = graph.input("seats of rows", [texts], "u32");
  next.record(computed, ids, { ofTokens: index, ofRows }, { first: true });
  const plan = await new Draft(graph).build(gpu);
  uploadBatch(gpu, batch, histories);
  upload(gpu, ofRows, Uint32Array.from(histories.keys()));
  next.prepare(rowsWith(options, 0).slice(0, texts));
  rows.forEach((row, text) => upload(gpu, computed, row, text * vocabulary));
  plan.run();
  plan.destroy();
  return next;
}

function rowsWith(sampling: SamplingOptions, seed: number) {
  return ROWS.map(() => ({ sampling, random: new Random(seed) }));
}

for (const options of SETTINGS) {
  Deno.test(`the same tokens as from whole rows: ${JSON.stringify(options)}`, async () => {
    const next = await nextTokensOf(ROWS, HISTORIES, options);
    const seeds = options.temperature ? 5 : 1;
    for (let seed = 0; seed < seeds; seed++) {
      const chosen = await next.choose(rowsWith(options, seed));
      assertEquals(
        chosen.map(({ id }) => id),
        ROWS.map((row, text) =>
          chooseToken(penalized(row, HISTORIES[text], options), new Random(seed), options)
        ),
      );
    }
    next.destroy();
  });
}

Deno.test("logits of what a text holds are divided by the penalty, negative ones multiplied", async () => {
  const options = { repetitionPenalty: 2, suppressIds: [3] };
  const next = await nextTokensOf([Float32Array.of(3, -2, 1, 5)], [[0, 1, 1]], options);
  const [[...logits]] = await next.logits(1);
  assertEquals(logits.slice(0, 3), [1.5, -4, 1]);
  assert(logits[3] < -1e38, "suppressed");
  next.destroy();
});

Deno.test("the likeliest tokens suffice where they have the share or the number asked for", () => {
  const likeliest = {
    ids: Uint32Array.of(9, 4, 2),
    logits: Float32Array.of(0, Math.log(2), 0),
    total: 2.5, // in halves: 0.5 + 1 + 0.5, and 0.5 among the tokens that are left out
  };
  const choose = (options: SamplingOptions) =>
    chooseAmong(likeliest, new Random(1), { temperature: 1, ...options });
  for (const options of [{ topP: 0.79 }, { topK: 3 }, { topK: 2, topP: 0.99 }]) {
    assert(choose(options) !== undefined);
  }
  // At a share of 0.6 it depends on the last digits of the total whether the third one is needed.
  for (const options of [{ topP: 0.81 }, { topP: 0.6 }, { topK: 4 }]) {
    assertEquals(choose(options), undefined);
  }
});
