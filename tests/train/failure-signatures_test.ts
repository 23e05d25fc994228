/** Signatures of failures: each is provoked once, and a healthy run is told nothing. */
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { toMarkdown } from "../../data/page/markdown.ts";
import { report } from "../../eval/report/report.ts";
import { signatureBlocks } from "../../model/runs/stage-blocks.ts";
import { RoutingUse } from "../../kernels/soft-moe/routing-use.ts";
import { layOutSequences } from "../../kernels/layers/sequences.ts";
import { Graph } from "../../kernels/runtime/graph.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import {
  FailureSignatures,
  type SignatureContext,
  tightMemory,
} from "../../model/host/failure-signatures.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { pretrain } from "../../train/pretrain.ts";
import { HeldOutLoss } from "../../train/step/held-out-loss.ts";
import { NextTokenObjective } from "../../train/step/objective.ts";
import { goldenModel, gpu } from "../model/golden-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { tinySettings } from "./tiny-run.ts";

/** A healthy run: its loss falls from 8 to 2, its gradient wanders by half of itself. */
function healthy(step: number): StepMetrics {
  return {
    step,
    loss: 2 + 6 * Math.exp(-step / 40),
    gradientNorm: 1 + 0.5 * Math.sin(7 * step),
    lossScale: 65536,
    ...step % 20 === 0 && { "leastUse.0": 0.7, "mostUse.0": 0.4, "combineEntropy.0": 0.98 },
  };
}

/** What is told of 200 steps. */
function told(
  line: (step: number) => StepMetrics,
  context: SignatureContext = { plateauWithin: 200 },
): string[] {
  const signatures = new FailureSignatures(context);
  return Array.from({ length: 200 }, (_, i) => signatures.observe(line(i + 1))).flat()
    .map(({ step, text }) => `${step}: ${text}`);
}

Deno.test("a healthy run is told nothing, nor a single spike or overflow", () => {
  assertEquals(told(healthy), []);
  const once = (step: number) => ({
    ...healthy(step),
    ...step === 90 && { gradientNorm: 60 },
    lossScale: step < 50 ? 65536 : 32768,
  });
  assertEquals(told(once), []);
});

Deno.test("gradient spikes, a falling loss scale, a plateau, dead and dominating experts: each once", () => {
  const spikes = told((step) => ({ ...healthy(step), ...step % 30 === 0 && { gradientNorm: 25 } }));
  assertEquals(spikes.length, 1);
  assertStringIncludes(spikes[0], "90: Gradient spikes: in 3 of the last 100 steps");
  assertStringIncludes(spikes[0], "Try a lower train.learningRate");

  const scale = (step: number) => step < 100 ? 65536 : 65536 / 2 ** (Math.floor(step / 10) - 9);
  const falls = told((step) => ({ ...healthy(step), lossScale: scale(step) }));
  assertEquals(falls.length, 1);
  assertStringIncludes(falls[0], "120: The loss scale falls: from 65536 to 8192 within 50 steps");

  const stuck = (step: number) => ({ ...healthy(step), loss: 7 + Math.exp(-step / 5) });
  const languages = "It is fine-tuned on English 100 %; it was pretrained on poetry 80 %";
  const plateau = told(stuck, { plateauWithin: 200, languages });
  assertEquals(plateau.length, 1);
  assertStringIncludes(plateau[0], "A plateau: over 40 steps the loss stays at 7.0");
  assertStringIncludes(plateau[0], languages);
  assertEquals(told(stuck, {}), [], "pretraining has no such plateau");

  const uneven = told((step) => ({
    ...healthy(step),
    ...step === 60 && { "leastUse.1": 0.01, "mostUse.3": 1.2 },
  }));
  assertEquals(uneven.length, 1);
  assertStringIncludes(uneven[0], "hardly ever used in layer 1, and one is used for nearly all in");
});

Deno.test("steps that overflowed are neither spikes nor a plateau, nor do missing lines make one", () => {
  const overflows = (step: number) => ({
    ...healthy(step),
    ...step % 15 === 0 && { gradientNorm: Infinity, loss: NaN },
    ...step === 1 && { loss: NaN },
  });
  assertEquals(told(overflows), []);
  const signatures = new FailureSignatures({ plateauWithin: 200 });
  const late = Array.from({ length: 30 }, (_, i) => signatures.observe(healthy(101 + i))).flat();
  assertEquals(late, []);
});

Deno.test("a report shows what the run told, and draws the layers of a measurement together", () => {
  const pageOf = (line: (step: number) => StepMetrics) => {
    const metrics = Array.from({ length: 200 }, (_, i) => line(i + 1));
    const stage = { name: "sft", folder: "x", settings: {}, metrics, mixture: {}, samples: [] };
    return toMarkdown(
      report({
        folder: "x",
        stages: [{ ...stage, facts: { others: {} } }],
        evaluations: [],
      }),
      "charts",
    ).text;
  };
  assert(!pageOf(healthy).includes("What the metrics show"));
  const page = pageOf((step) => ({
    ...healthy(step),
    ...step % 30 === 0 && { gradientNorm: 25, "combineEntropy.1": 0.9 },
  }));
  assertStringIncludes(page, "### What the metrics show");
  assertStringIncludes(page, "Step 90: Gradient spikes: in 3 of the last 100 steps");
  assertEquals(page.match(/!\[Entropy of combine by layer/g)?.length, 1);
});

Deno.test("a report of a run that is under way looks for a plateau in the whole of it, as the run does", () => {
  const pageOf = (steps: number | undefined) => {
    const metrics = Array.from({ length: 60 }, (_, i) => ({ ...healthy(i + 1), loss: 7 }));
    const stage = { name: "sft", folder: "x", task: "sft" as const, metrics, mixture: {} };
    const facts = { steps, others: {} };
    const blocks = signatureBlocks({ ...stage, settings: {}, samples: [], facts });
    return JSON.stringify(blocks);
  };
  assertStringIncludes(pageOf(200), "Step 40: A plateau: over 40 steps");
  assertEquals(pageOf(1000), "[]", "a tenth of it twice is more than there is");
  assertEquals(pageOf(undefined), "[]", "a run of before, of which the number is not known");
});

Deno.test("memory nearly does not fit if less than a tenth of the run's is left", () => {
  assertEquals(tightMemory(80, 100), undefined);
  assertEquals(tightMemory(99, undefined), undefined);
  assertStringIncludes(tightMemory(95, 100)!, "takes 95 % of what is free");
});

Deno.test("entropies and shares are those of the weights, padding left out", async () => {
  const lengths = [3, 1];
  const rows = layOutSequences(lengths, 6, 2);
  const graph = new Graph(gpu.capabilities);
  const [combine, dispatch] = [graph.input("combine", [6, 2]), graph.input("dispatch", [6, 2])];
  const spans = {
    ...{ count: 2, longest: 3 },
    index: graph.input("index", [6], "u32"),
    bounds: graph.input("bounds", [2, 2], "u32"),
  };
  const use = new RoutingUse(graph, 1, 2);
  use.count(combine, combine, spans, dispatch);
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, combine, Float32Array.of(1, 0, 0.5, 0.5, 0.75, 0.25, 1, 0, 9, 9, 9, 9));
  upload(gpu, dispatch, Float32Array.of(1, 1 / 3, 0, 1 / 3, 0, 1 / 3, 1, 1, 9, 9, 9, 9));
  upload(gpu, spans.index, rows.index);
  upload(gpu, spans.bounds, rows.bounds);
  plan.run();
  plan.run(); // sums go on
  const [{ combineEntropy, dispatchEntropy, shares }] = await use.read(gpu);
  plan.destroy();
  const third = -(0.75 * Math.log2(0.75) + 0.25 * Math.log2(0.25));
  assertAlmostEquals(combineEntropy, (0 + 1 + third + 0) / 4, 1e-6);
  assertAlmostEquals(dispatchEntropy, (0 + 1) / 2, 1e-6);
  assertAlmostEquals(shares[0], 3.25 / 4, 1e-6);
  assertAlmostEquals(shares[1], 0.75 / 4, 1e-6);
});

Deno.test("a Soft MoE whose scale has grown shows slots that nobody uses", async () => {
  const { parameters, inputIds } = await goldenModel("steel-tiny");
  const measured = async () => {
    const room = { tokens: 64, sequences: 2 };
    const loss = await HeldOutLoss.plan(gpu, parameters, room, new NextTokenObjective());
    await loss.run([{ inputs: inputIds, labels: inputIds }]);
    const routing = await loss.routing();
    loss.destroy();
    const signatures = new FailureSignatures();
    return { routing, told: signatures.observe({ step: 1, ...routing }) };
  };
  const before = await measured();
  assertEquals(before.told, []);
  assert(before.routing["combineEntropy.0"] > 0.9, JSON.stringify(before.routing));
  for (const { name, tensor, first } of parameters.parts) {
    if (name.endsWith("mlp.scale")) upload(gpu, tensor, Float32Array.of(5000), first);
  }
  const after = await measured();
  assert(after.routing["combineEntropy.0"] < 0.2, JSON.stringify(after.routing));
  assert(after.routing["dispatchEntropy.0"] < 0.5, JSON.stringify(after.routing));
  assertEquals(after.told.length, 1);
});

Deno.test("a run measures its layers when it validates, and a healthy one tells nothing", () =>
  inTemporaryFolder(async (dir) => {
    const said: string[] = [];
    const settings = await tinySettings(dir);
    const model = await pretrain(settings, { gpu, onMessage: (text) => said.push(text) });
    model!.close();
    const metrics = readMetrics(`${dir}/run/metrics.jsonl`);
    const measured = metrics.filter((line) => line["combineEntropy.1"] !== undefined);
    assertEquals(measured.map(({ step }) => step), [4, 8]);
    assertEquals(said.filter((text) => /spikes|falls|plateau|Experts|nearly/.test(text)), []);
  }));
