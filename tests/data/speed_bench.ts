/**
 * `deno task bench:data [FILE]`: how fast documents are cleaned and tokenized, by the clock, beside
 * baselines on the same text.
 *
 * The file is JSON lines; without one the poems of the embedded corpus are taken. What Data-Juicer
 * and Rust do is not run here: 0.71 MB/s of the SkyPile sample cleaned, and 1.07 MB/s tokenized, on
 * one core of another 2-core machine.
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { fileURLToPath } from "node:url";
import { embedded } from "../../data/corpora/embedded.ts";
import { encoderOf } from "../../data/tokenizer/encoder-of.ts";
import { readDocuments } from "../../data/readers/read-file.ts";
import { startableEnvironment } from "../../kernels/host/startable-environment.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { qwenTokenizerFiles } from "../../data/tokenizer/load-tokenizer-files.ts";

/** So much that starting, about half a second, hardly counts. */
const CLEANED_MEGABYTES = 300;
/** One thread and two take turns, so that a machine that is faster for a while favours neither. */
const ROUNDS = 3;
const ENCODED_BY_BASELINE_MEGABYTES = 0.4;

const HELP = `Measures how fast text is cleaned by the recipe steel-text and tokenized, in MB/s.

Usage:
  deno task bench:data [FILE]

Example:
  deno task bench:data sky.jsonl

Options, with defaults in brackets:
  FILE                     documents in JSON lines [poems of the embedded text]
  --help                   show this text`;

await runCommand(async () => {
  const [path] = Deno.args;
  if (path === "--help") return console.log(HELP);
  const texts = await readTexts(path);
  const megabytes = bytesOf(texts) / 1e6;
  console.log(`${texts.length} documents, ${megabytes.toFixed(2)} MB of text`);
  await inTemporaryFolder((dir) => benchCleaning(texts, megabytes, dir));
  await benchEncoding(texts, megabytes);
});

async function readTexts(path: string | undefined): Promise<string[]> {
  if (path !== undefined) return await Array.fromAsync(readDocuments(path), ({ text }) => text);
  const poems: string[] = [];
  for await (const { text } of embedded()[0].documents) {
    poems.push(text);
    if (poems.length === 20_000) break;
  }
  return poems;
}

async function benchCleaning(texts: string[], megabytes: number, dir: string): Promise<void> {
  const lines = texts.map((text) => JSON.stringify({ text }) + "\n").join("");
  const copies = Math.max(1, Math.round(CLEANED_MEGABYTES / megabytes));
  const path = `${dir}/texts.jsonl`;
  for (let copy = 0; copy < copies; copy++) await Deno.writeTextFile(path, lines, { append: true });
  using file = await Deno.open(path, { write: true });
  await file.syncData(); // or it is written to the disk while the first rounds are timed
  const speeds: Record<number, number[]> = { 1: [], 2: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const threads of [1, 2]) {
      const seconds = await secondsOfCleaning(path, `${dir}/out.jsonl`, threads);
      const speed = copies * megabytes / seconds;
      speeds[threads].push(speed);
      const unit = threads === 1 ? "thread" : "threads";
      console.log(`cleaning by steel-text, ${threads} ${unit}: ${speed.toFixed(2)} MB/s`);
    }
  }
  const times = speeds[2].map((speed, round) => speed / speeds[1][round]);
  console.log(`two threads: ${times.map((factor) => factor.toFixed(2)).join(", ")} times one`);
}

/** How long the command takes with all that starting it costs, which a thread more has to repay. */
async function secondsOfCleaning(input: string, output: string, threads: number): Promise<number> {
  const script = fileURLToPath(new URL("../../data/data-command.ts", import.meta.url));
  const deno = ["run", "--no-prompt", "--allow-read", "--allow-write", "--allow-env", script];
  const files = ["--input", input, "--output", output];
  const args = [...deno, "clean", "--recipe", "steel-text", ...files, `--workers=${threads}`];
  const started = performance.now();
  const command = { args, env: startableEnvironment(), stdout: "null" } as const;
  const { success } = await new Deno.Command("deno", command).output();
  if (!success) throw new UserError(`the command failed: deno ${args.join(" ")}`);
  return (performance.now() - started) / 1000;
}

async function benchEncoding(texts: string[], megabytes: number): Promise<void> {
  const files = await qwenTokenizerFiles();
  const encoder = encoderOf(files);
  const baseline = new Tokenizer(files.tokenizer, files.config);
  const few = texts.slice(0, Math.ceil(texts.length * ENCODED_BY_BASELINE_MEGABYTES / megabytes));
  const idsOfBaseline = (text: string) => baseline.encode(text, { add_special_tokens: false }).ids;
  console.log(`tokenizing, one thread: ${speedOf((text) => encoder.encode(text), texts)}`);
  console.log(`@huggingface/tokenizers: ${speedOf(idsOfBaseline, few)}`);
}

function speedOf(encode: (text: string) => number[], texts: string[]): string {
  const started = performance.now();
  let tokens = 0;
  for (const text of texts) tokens += encode(text).length;
  const seconds = (performance.now() - started) / 1000;
  return `${(bytesOf(texts) / 1e6 / seconds).toFixed(2)} MB/s, ${
    Math.round(tokens / seconds)
  } tokens/s`;
}

function bytesOf(texts: string[]): number {
  return texts.reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0);
}
