/** The tokens that the GPU picks from rows of logits, against a sort of the whole row. */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import {
  coldnessOf,
  FOUND_WORDS,
  likeliestOf,
  likeliestToken,
  likeliestTokens,
} from "../../kernels/decoding/likeliest.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import {
  forgetTokens,
  penalizeTokens,
  rememberTokens,
  suppressTokens,
} from "../../kernels/decoding/token-penalties.ts";
import { download, downloadWords, upload } from "../../kernels/runtime/transfer.ts";
import { gpu } from "./harness.ts";

/** Runs the kernels for software drivers and those for GPUs on rows of logits. */
async function onRows(
  rows: Float32Array<ArrayBuffer>[],
  record: (logits: Tensor, graph: Graph) => void,
  check: () => Promise<void>,
  uploads: () => void = () => {},
): Promise<void> {
  for (const cpu of [true, false]) {
    const graph = new Graph({ ...gpu.capabilities, cpu });
    const logits = graph.input("logits", [rows.length, rows[0].length]);
    record(logits, graph);
    const plan = await new Draft(graph).build(gpu);
    rows.forEach((row, i) => upload(gpu, logits, row, i * row.length));
    uploads();
    plan.run();
    await check();
    plan.destroy();
  }
}

function normal(length: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  new Random(seed).fillNormal(values, 3);
  return values;
}

/** Ids by falling logits, equal ones by rising ids. */
function sorted(row: Float32Array): number[] {
  return Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
}

for (const vocabulary of [1, 5, 64, 257, 4100, 20_004]) {
  Deno.test(`the likeliest of ${vocabulary} tokens: whoever is left out is less likely`, async () => {
    const rows = [1, 2, 3].map((seed) => normal(vocabulary, seed));
    // The highest twice, and negative logits only.
    rows[1][vocabulary - 1] = rows[1][vocabulary >> 1] = 50;
    rows[2].forEach((value, i) => rows[2][i] = value - 100);
    const temperatures = [0.8, 1.5, 0.3];
    let [ids, found, coldness]: Tensor[] = [];
    await onRows(rows, (logits, graph) => {
      ids = graph.output("ids", [rows.length], "u32");
      found = graph.output("found", [rows.length, FOUND_WORDS], "u32");
      coldness = graph.input("coldness", [rows.length]);
      likeliestToken(logits, ids);
      likeliestTokens(logits, found, coldness);
    }, async () => {
      const words = await downloadWords(gpu, found);
      assertEquals(Array.from(await downloadWords(gpu, ids)), rows.map((row) => sorted(row)[0]));
      rows.forEach((row, i) => {
        const likeliest = likeliestOf(words.slice(i * FOUND_WORDS, (i + 1) * FOUND_WORDS))!;
        const count = likeliest.ids.length;
        assert(count >= Math.min(vocabulary, 20), `only ${count}`);
        assertEquals(
          Array.from(likeliest.ids).sort((a, b) => a - b),
          sorted(row).slice(0, count).sort((a, b) => a - b),
        );
        assertEquals(Array.from(likeliest.logits), Array.from(likeliest.ids, (id) => row[id]));
        const highest = row[sorted(row)[0]];
        const total = row.reduce((sum, x) => sum + Math.exp((x - highest) / temperatures[i]), 0);
        assert(Math.abs(likeliest.total / total - 1) < 1e-5);
      });
    }, () => upload(gpu, coldness, Float32Array.from(temperatures, coldnessOf)));
  });
}

Deno.test("rows of equal logits hold more likeliest tokens than there is room for: the first is chosen", async () => {
  const rows = [new Float32Array(4100).fill(-2), new Float32Array(4100).fill(0)];
  rows[1].fill(1, 2000, 2003);
  let [ids, found, coldness]: Tensor[] = [];
  await onRows(rows, (logits, graph) => {
    ids = graph.output("ids", [2], "u32");
    found = graph.output("found", [2, FOUND_WORDS], "u32");
    coldness = graph.input("coldness", [2]);
    likeliestToken(logits, ids);
    likeliestTokens(logits, found, coldness);
  }, async () => {
    const words = await downloadWords(gpu, found);
    assertEquals(Array.from(await downloadWords(gpu, ids)), [0, 2000]);
    assertEquals(likeliestOf(words.slice(0, FOUND_WORDS)), undefined);
  }, () => upload(gpu, coldness, Float32Array.of(1, 1)));
});

Deno.test("penalties: of each row's own tokens, once however often, forgotten ones not; suppressed ones", async () => {
  const rows = [
    Float32Array.of(3, -3, 1, -1, 2),
    Float32Array.of(1, 2, 3, 4, 5),
    Float32Array.of(6, 6, 6, 6, 6),
  ];
  let [ids, sequence, suppressed, seen, continued, taken, factors, kept]: Tensor[] = [];
  await onRows(rows, (logits, graph) => {
    ids = graph.input("ids", [5], "u32");
    sequence = graph.input("sequence", [5], "u32");
    suppressed = graph.input("suppressed", [2], "u32");
    seen = graph.output("seen", [3, 5], "u32");
    continued = graph.input("continued", [3], "u32");
    taken = graph.input("taken", [2], "u32");
    factors = graph.input("factors", [3, 2]);
    forgetTokens(taken, seen);
    rememberTokens(ids, sequence, seen);
    penalizeTokens(logits, seen, continued, factors);
    suppressTokens(logits, suppressed);
    kept = logits;
  }, async () => {
    const divided = (x: number) => Math.fround(x * Math.fround(1 / 1.1));
    assertEquals(Array.from(await download(gpu, kept)), [
      ...[
        divided(3),
        Math.fround(-3 * Math.fround(1.1)),
        Math.fround(-3e38),
        -1,
        Math.fround(-3e38),
      ],
      ...[1, 2, Math.fround(-3e38), 2, Math.fround(-3e38)],
      ...[6, 6, Math.fround(-3e38), 6, Math.fround(-3e38)], // an idle row
    ]);
  }, () => {
    upload(gpu, ids, Uint32Array.of(0, 1, 0, 3, 2));
    upload(gpu, sequence, Uint32Array.of(2, 2, 2, 0, 0xffffffff)); // the last is padding
    upload(gpu, seen, new Uint32Array(15).fill(1)); // of the texts before
    upload(gpu, taken, Uint32Array.of(0, 2));
    upload(gpu, continued, Uint32Array.of(2, 0, 0xffffffff));
    upload(gpu, factors, Float32Array.of(1.1, 1 / 1.1, 2, 0.5, 3, 1 / 3));
    upload(gpu, suppressed, Uint32Array.of(2, 4));
  });
});
