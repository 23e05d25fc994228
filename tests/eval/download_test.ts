import { assertEquals, assertRejects } from "@std/assert";
import { strToU8, zipSync } from "fflate";
import { dirname } from "node:path";
import { ceval } from "../../eval/benchmarks/ceval.ts";
import type { Benchmark } from "../../eval/benchmarks/benchmark.ts";
import { downloadBenchmark } from "../../eval/download.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const SMALL: Benchmark = {
  ...ceval,
  subjects: [{ handle: "law", name: "法学" }],
  published: { url: "https://example.org/exam.zip", questions: 2 },
};

const ARCHIVE = zipSync({
  "val/law_val.csv": strToU8(
    "id,question,A,B,C,D,answer\n0,问,甲,乙,丙,丁,B\n1,问,甲,乙,丙,丁,A\n",
  ),
});

interface Quirks {
  /** The status with which it refuses. */
  refusal?: number;
  /** Sends everything, whatever part is asked for. */
  whole?: boolean;
  /** Bytes that it announces beyond those it sends. */
  promised?: number;
}

/** A server of `bytes` that breaks off after a third of them, until it has done so `breaks` times. */
function server(bytes: Uint8Array, breaks: number, quirks: Quirks = {}) {
  const { refusal, whole = false, promised = 0 } = quirks;
  const ranges: (string | null)[] = [];
  const fetch = (_url: string, init: RequestInit) => {
    const headers = new Headers(init.headers);
    assertEquals(headers.get("accept-encoding"), "identity");
    const range = headers.get("range");
    ranges.push(range);
    if (refusal !== undefined) return Promise.resolve(new Response("no", { status: refusal }));
    const start = whole ? 0 : Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
    if (start === bytes.length) return Promise.resolve(new Response(null, { status: 416 }));
    const rest = bytes.subarray(start);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        if (breaks-- > 0) {
          controller.enqueue(rest.subarray(0, Math.ceil(bytes.length / 3)));
          queueMicrotask(() => controller.error(new Error("connection reset")));
        } else {
          controller.enqueue(rest);
          controller.close();
        }
      },
    });
    const length = { "content-length": String(rest.length + promised) };
    const status = start > 0 ? 206 : 200;
    return Promise.resolve(new Response(body, { status, headers: length }));
  };
  return { fetch, ranges };
}

const inFolder = (use: (path: string) => Promise<void>) =>
  inTemporaryFolder((folder) => use(`${folder}/cache/exam.zip`));

Deno.test("a download that breaks off goes on from what has come, and is made once", async () => {
  await inFolder(async (path) => {
    const { fetch, ranges } = server(ARCHIVE, 2);
    await downloadBenchmark(SMALL, path, { fetch, firstWait: 0 });
    assertEquals(await Deno.readFile(path), ARCHIVE);
    assertEquals(ranges[0], null);
    assertEquals(ranges.length, 3);
    await downloadBenchmark(SMALL, path, { fetch, firstWait: 0 });
    assertEquals(ranges.length, 3);
  });
});

Deno.test("what has come is judged by what the server makes of it", async () => {
  const after = async (partial: Uint8Array, quirks: Quirks) => {
    let asked = 0;
    await inFolder(async (path) => {
      await Deno.mkdir(dirname(path));
      await Deno.writeFile(`${path}.partial`, partial);
      const { fetch, ranges } = server(ARCHIVE, 0, quirks);
      await downloadBenchmark(SMALL, path, { fetch, firstWait: 0 });
      assertEquals(await Deno.readFile(path), ARCHIVE);
      asked = ranges.length;
    });
    return asked;
  };
  // It begins at the beginning, has nothing more, or closes before all has come.
  assertEquals(await after(ARCHIVE.subarray(0, 9), { whole: true }), 1);
  assertEquals(await after(ARCHIVE, {}), 1);
  assertEquals(await after(ARCHIVE.subarray(0, 9), { promised: 5 }), 2);
});

Deno.test("a download given up is kept and gone on with the next time", async () => {
  await inFolder(async (path) => {
    const bad = server(ARCHIVE.subarray(0, 30), 9);
    await assertRejects(
      () => downloadBenchmark(SMALL, path, { fetch: bad.fetch, firstWait: 0 }),
      UserError,
      "Try again to go on from what was received",
    );
    const { fetch, ranges } = server(ARCHIVE, 0);
    await downloadBenchmark(SMALL, path, { fetch, firstWait: 0 });
    assertEquals(ranges.length, 1);
    assertEquals(await Deno.readFile(path), ARCHIVE);
  });
});

Deno.test("a server that cannot be reached is told with the reason", async () => {
  await inFolder(async (path) => {
    const fetch = () =>
      Promise.reject(new TypeError("fetch failed", { cause: new Error("dns error") }));
    await assertRejects(
      () => downloadBenchmark(SMALL, path, { fetch, firstWait: 0 }),
      UserError,
      "https://example.org/exam.zip: dns error, after 5 attempts",
    );
  });
});

Deno.test("what is not the benchmark is not kept", async () => {
  await inFolder(async (path) => {
    const { fetch } = server(strToU8("<html>sign in first</html>"), 0);
    await assertRejects(
      () => downloadBenchmark(SMALL, path, { fetch }),
      UserError,
      "is not C-Eval with its 2 questions of val",
    );
    const missing = server(ARCHIVE, 0, { refusal: 404 });
    await assertRejects(
      () => downloadBenchmark(SMALL, path, { fetch: missing.fetch }),
      UserError,
      "the server answers 404",
    );
    assertEquals(missing.ranges.length, 1);
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  });
});
