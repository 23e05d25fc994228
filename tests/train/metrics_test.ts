import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { MetricsLog } from "../../train/run/metrics-log.ts";

function withFile(use: (path: string) => void): void {
  const dir = Deno.makeTempDirSync();
  try {
    use(`${dir}/metrics.jsonl`);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function append(path: string, checkpoint: number, steps: number[], loss: number): void {
  using log = new MetricsLog(path, checkpoint);
  for (const step of steps) log.append({ step, loss });
}

Deno.test("metrics: a run that goes on writes no step twice", () => {
  withFile((path) => {
    append(path, 0, [1, 2, 3, 4, 5], 9);
    Deno.writeTextFileSync(path, '{"step":6,"lo', { append: true }); // killed while writing
    append(path, 3, [4, 5, 6], 8);
    assertEquals(readMetrics(path).map(({ step, loss }) => [step, loss]), [
      ...[[1, 9], [2, 9], [3, 9]],
      ...[[4, 8], [5, 8], [6, 8]],
    ]);
    assertEquals(Deno.readTextFileSync(path).split("\n").length, 7);
  });
});

Deno.test("metrics: a run that starts anew starts an empty file", () => {
  withFile((path) => {
    assertEquals(readMetrics(path), []);
    append(path, 0, [1, 2], 9);
    append(path, 0, [], 9);
    assertEquals(readMetrics(path), []);
  });
});

Deno.test("metrics: a file of something else is left alone", () => {
  withFile((path) => {
    Deno.writeTextFileSync(path, "notes\n[1]\n");
    assertThrows(() => new MetricsLog(path, 1), UserError, "metrics.jsonl:1: not a measurement");
    assertEquals(Deno.readTextFileSync(path), "notes\n[1]\n");
  });
});

Deno.test("metrics: lines that damage broke are left out, and that is said", () => {
  withFile((path) => {
    const said: string[] = [];
    Deno.writeTextFileSync(path, '{"step":1,"loss":9}\n\0\0\n{"step":2,"loss":8}\n');
    const losses = readMetrics(path, (text) => said.push(text)).map(({ loss }) => loss);
    assertEquals(losses, [9, 8]);
    {
      using log = new MetricsLog(path, 2, (text) => said.push(text));
      log.append({ step: 3, loss: 7 });
    }
    assertEquals(readMetrics(path).map(({ step }) => step), [1, 2, 3]);
    const words = `${path}:2: not a measurement of this program; the line is left out`;
    assertEquals(said, [words, words]);
  });
});

Deno.test("metrics: a file that cannot be read or written is named", () => {
  withFile((path) => {
    Deno.mkdirSync(path);
    assertThrows(() => readMetrics(path), UserError, "metrics.jsonl: it is a folder");
    const elsewhere = path.replace("metrics", "none/metrics");
    assertThrows(() => new MetricsLog(elsewhere, 0), UserError, "metrics.jsonl: cannot be written");
  });
});

Deno.test("metrics: a loss that overflowed, null in JSON, is left out of its step", () => {
  withFile((path) => {
    using log = new MetricsLog(path, 0);
    log.append({ step: 1, loss: Infinity, learningRate: 1 });
    assertEquals(readMetrics(path), [{ step: 1, learningRate: 1 }]);
  });
});
