import { assertEquals } from "@std/assert";
import { learningRate } from "../../train/step/schedule.ts";

Deno.test("schedule: the figures of PyTorch's LambdaLR, to the last bit", () => {
  const schedule = { steps: 120, warmupSteps: 10, learningRate: 3e-3, minimumLearningRate: 0 };
  const expected = {
    0: 0.00030000000000000003,
    1: 0.0006000000000000001,
    4: 0.0015,
    9: 0.003,
    10: 0.003,
    11: 0.0029993882892422837,
    13: 0.002994497596294037,
    30: 0.002761880299246772,
    64: 0.0015428340761905446,
    65: 0.0015,
    82: 0.0007999990151614894,
    118: 2.4463441107965277e-6,
    119: 6.117107577161551e-7,
  };
  for (const [step, rate] of Object.entries(expected)) {
    assertEquals(learningRate(Number(step), schedule), rate, `step ${step}`);
  }
});

Deno.test("schedule: it ends at the minimum and stays there", () => {
  const schedule = { steps: 10, warmupSteps: 0, learningRate: 1, minimumLearningRate: 0.25 };
  assertEquals(learningRate(0, schedule), 1);
  assertEquals(learningRate(5, schedule), 0.625);
  assertEquals(learningRate(10, schedule), 0.25);
  assertEquals(learningRate(99, schedule), 0.25);
});
