import { dirname } from "node:path";
import { UserError } from "../kernels/runtime/user-error.ts";
import { AppendOnlyFile } from "../data/files/append-only-file.ts";
import { exists } from "../data/files/exists.ts";
import { messageOf } from "../data/text/error-message.ts";
import { makeFolder } from "../data/files/make-folder.ts";
import type { Benchmark } from "./benchmarks/benchmark.ts";
import { openBenchmarkFiles } from "./benchmarks/benchmark-files.ts";
import { readQuestions } from "./benchmarks/read-questions.ts";

/** How to download; for tests. */
export interface DownloadOptions {
  /** Takes the place of the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds before the second attempt; twice as long before each next. 1000 if undefined. */
  firstWait?: number;
}

const ATTEMPTS = 5;

/**
 * Downloads a benchmark's archive from its authors to `path`, unless it is there, and counts its
 * questions. What an interrupted download has received is kept beside it; the next one goes on from
 * there.
 *
 * @throws {UserError} when the server cannot be reached or the archive is not the benchmark's
 */
export async function downloadBenchmark(
  benchmark: Benchmark,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { url, questions: expected } = benchmark.published;
  if (await exists(path)) return;
  await makeFolder(dirname(path));
  const partial = `${path}.partial`;
  await fetchWithRetries(url, partial, options);
  await Deno.rename(partial, path);

  const found = await countQuestions(benchmark, path).catch((error) => error as Error);
  if (found !== expected) {
    await Deno.remove(path);
    const reason = found instanceof Error ? found.message : `it holds ${found} questions`;
    throw new UserError(
      `${url} is not ${benchmark.title} with its ${expected} questions of ${benchmark.defaultSplit}: ` +
        `${reason}. Download it by hand and name it with --data`,
    );
  }
}

/** Tries again after a failure, unless it is a UserError: another attempt would fail like it. */
async function fetchWithRetries(
  url: string,
  partial: string,
  options: DownloadOptions,
): Promise<void> {
  let wait = options.firstWait ?? 1000;
  for (let attempt = 1;; attempt++) {
    try {
      return await fetchRest(url, partial, options);
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (attempt === ATTEMPTS) {
        throw new UserError(
          `${url}: ${reasonOf(error)}, after ${ATTEMPTS} attempts. Try again to go on from what ` +
            `was received, or download it by hand and name it with --data`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait *= 2;
    }
  }
}

/** Why a download failed: the error of `fetch` itself says only that it failed, its cause why. */
function reasonOf(error: unknown): string {
  const { cause } = error as Error;
  return messageOf(cause instanceof Error ? cause : error);
}

/** Downloads what is still missing and appends it. */
async function fetchRest(url: string, partial: string, options: DownloadOptions): Promise<void> {
  const { fetch = globalThis.fetch } = options;
  const before = await exists(partial) ? (await Deno.stat(partial)).size : 0;
  const range = before > 0 ? { range: `bytes=${before}-` } : undefined;
  // Compressed bytes could not be counted, and an interrupted download could not go on with them.
  const response = await fetch(url, { headers: { "accept-encoding": "identity", ...range } });
  if (response.status === 416) { // the file is complete
    await response.body?.cancel();
    return;
  }
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    const message = `${url}: the server answers ${response.status} ${response.statusText}`.trim();
    throw response.status >= 400 && response.status < 500 && response.status !== 429
      ? new UserError(`${message}; download it by hand and name it with --data`)
      : new Error(`the server answers ${response.status}`);
  }
  // Without 206, it sends all from the beginning.
  using file = new AppendOnlyFile(partial, response.status === 206 ? before : 0);
  let received = 0;
  for await (const chunk of response.body) {
    file.append(chunk);
    received += chunk.length;
  }
  const length = response.headers.get("content-length");
  if (length !== null && received !== Number(length)) {
    throw new Error(`only ${received} of ${length} bytes were received`);
  }
}

async function countQuestions(benchmark: Benchmark, path: string): Promise<number> {
  const files = await openBenchmarkFiles(path);
  const handles = benchmark.subjects.map(({ handle }) => handle);
  const questions = await readQuestions(benchmark, files, benchmark.defaultSplit, handles);
  return [...questions.values()].flat().length;
}
