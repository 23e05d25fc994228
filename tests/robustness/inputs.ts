/** Undamaged files of every format that is read, small and always the same. */
import { gzipSync, zipSync } from "fflate";
import { parquetWriteBuffer } from "hyparquet-writer";
import { createTar } from "nanotar";
import { constants, crc32, zstdCompressSync } from "node:zlib";
import {
  openCheckpoint,
  prepare,
  readPrepareSettings,
  tokenize,
  writeCheckpoint,
} from "../../mod.ts";
import { adapterConfigJson } from "../../model/checkpoint/adapter-config.ts";
import { writeAdapterFiles } from "../../model/host/write-adapter.ts";
import { linearLayers, updateParameters } from "../../model/network/adaptation.ts";
import { sentencePieceModel } from "../data/sentence-piece-model.ts";
import { writeMadeUpCeval } from "../eval/made-up-ceval.ts";
import { writePruned } from "../model/pruned-model.ts";
import { tinyRun } from "../train/tiny-run.ts";
import { commandOf, run } from "./commands.ts";

const TEXTS = [
  "春眠不觉晓，处处闻啼鸟。",
  "夜来风雨声，花落知多少。",
  "Steel is iron and carbon.",
  "床前明月光",
]
  .flatMap((text, i) => [text, `${text} ${i} ${"and so on ".repeat(3 + i)}`]);
const RECORDS = TEXTS.map((text, id) => ({
  id,
  text,
  score: id / 3,
  meta: { source: "made up", tags: ["a"] },
}));
const LINES = RECORDS.map((record) => JSON.stringify(record) + "\n").join("");

/** Writes them into the folder `root`, in a folder for each purpose. */
export async function writeInputs(root: string): Promise<void> {
  await writeTexts(`${root}/texts`);
  await writeSets(`${root}/sets`);
  await writeExams(`${root}/exam`, `${root}/archives`);
  await writeSettings(`${root}/settings`);
  await writeRecipe(`${root}/recipe`);
  await writeModels(`${root}/model`, `${root}/sharded`, `${root}/old`);
  await writeAdapter(`${root}/adapter`, `${root}/model`);
  await writeMixture(`${root}/mixture`, `${root}/model`);
  await writeShards(`${root}/shards`, `${root}/mixture`);
  await writeEvaluation(`${root}/evaluation`, `${root}/exam`);
  await writeRun(`${root}/run`);
}

async function write(dir: string, files: Record<string, string | Uint8Array>): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${dir}/${name}`, bytes);
  }
}

async function writeTexts(dir: string): Promise<void> {
  const bytes = new TextEncoder().encode(LINES);
  await write(dir, {
    "a.jsonl": LINES,
    "a.json": JSON.stringify(RECORDS, null, 1),
    "a.txt": TEXTS.join("\n"),
    "a.jsonl.gz": gzipSync(bytes, { mtime: 0 }),
    "a.jsonl.zst": zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
    "a.parquet": parquetOf({ codec: "SNAPPY" }),
    "checked.parquet": withPageChecksum(parquetOf({ codec: "UNCOMPRESSED", statistics: false })),
  });
}

function parquetOf(
  options: { codec: "SNAPPY" | "UNCOMPRESSED"; statistics?: boolean },
): Uint8Array {
  const plain = { type: "STRING", nullable: false, encoding: "PLAIN", offsetIndex: false } as const;
  const columnData = [{ name: "text", data: TEXTS, ...plain }];
  return new Uint8Array(parquetWriteBuffer({ columnData, ...options }));
}

/**
 * Writes the CRC of its only page, which the library leaves out, into the page's header (Thrift's
 * compact protocol: the fields 1 to 3 have two bytes of a value at most), and makes the sizes in the
 * footer right again.
 */
function withPageChecksum(file: Uint8Array): Uint8Array {
  const start = 4;
  let at = start;
  for (let field = 0; field < 3; field++) { // type and both sizes: a byte of type, then a varint
    at++;
    while (file[at++] & 0x80);
  }
  const footer = file.length - 8 - new DataView(file.buffer).getUint32(file.length - 8, true);
  // The header ends with a field of 0, the end of its struct and its own.
  const data = new TextDecoder("latin1").decode(file).indexOf("\0\0\0", at) + 3;
  const crc = crc32(file.subarray(data, footer)) | 0;
  const field = [0x15, ...varint((crc << 1 ^ crc >> 31) >>> 0)];
  const header = [...file.subarray(start, at), ...field, file[at] - 0x10]; // one field less is left out
  const page = [...header, ...file.subarray(at + 1, footer)];
  const [was, is] = [footer - start, page.length].map((size) => varint(2 * size).join());
  const sizes = file.subarray(footer).join().replaceAll(`22,${was},`, `22,${is},`) // 22: i64
    .replaceAll(`54,${was},`, `54,${is},`);
  return Uint8Array.from([...file.subarray(0, start), ...page, ...sizes.split(",").map(Number)]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [value % 0x80 | 0x80, ...varint(Math.floor(value / 0x80))];
}

async function writeSets(dir: string): Promise<void> {
  const turns = [{ from: "human", value: "谁？" }, { from: "gpt", value: "我是小钢。" }];
  const messages = [{ role: "user", content: "who?" }, { role: "assistant", content: "Steel." }];
  await write(dir, {
    "dataset_info.json": JSON.stringify({
      set: { file_name: "alpaca.json", columns: { prompt: "instruction", response: "output" } },
      chats: { file_name: "chats.jsonl", formatting: "sharegpt" },
      pairs: {
        file_name: "pairs.json",
        ranking: true,
        columns: { prompt: "q", chosen: "c", rejected: "r" },
      },
    }),
    "alpaca.json": JSON.stringify(
      TEXTS.map((output, i) => ({
        instruction: `tell ${i}`,
        input: "",
        output,
        system: "be short",
      })),
    ),
    "chats.jsonl": TEXTS.map((value) =>
      JSON.stringify({ conversations: [...turns, { from: "human", value }, turns[1]] }) + "\n"
    ).join(""),
    "messages.jsonl": TEXTS.map(() => JSON.stringify({ messages }) + "\n").join(""),
    "pairs.json": JSON.stringify(TEXTS.map((c, i) => ({ q: `say ${i}`, c, r: "no" }))),
    "exam.csv": "id,question,A,B,C,D,answer,explanation\n" +
      TEXTS.map((text, i) => `${i},"${text}?",${i},2,"3, or",4,${"ABCD"[i % 4]},because\n`).join(
        "",
      ),
  });
}

async function writeExams(dir: string, archives: string): Promise<void> {
  await writeMadeUpCeval(dir);
  await write(dir, {
    "subject_mapping.json": JSON.stringify({
      logic: ["Logic", "逻辑学", "Humanities"],
      physician: ["Physician", "医师资格", "Other"],
    }),
  });
  const files: Record<string, Uint8Array> = {};
  for (
    const path of [
      "subject_mapping.json",
      ...["dev", "val"].flatMap((split) =>
        ["logic", "physician"].map((subject) => `${split}/${subject}_${split}.csv`)
      ),
    ]
  ) {
    files[path] = await Deno.readFile(`${dir}/${path}`);
  }
  const entries = Object.entries(files);
  await write(archives, {
    "exam.zip": zipSync(files, { mtime: "2025-01-01" }),
    "exam.tar": createTar(entries.map(([name, data]) => ({ name, data, attrs: { mtime: 0 } }))),
  });
}

async function writeSettings(dir: string): Promise<void> {
  await write(dir, {
    "pretrain.yaml":
      "model:\n  hidden_size: 16\n  rope_theta: 1e4\ndata:\n  source: [a.jsonl, b.jsonl]\n" +
      "train:\n  steps: 8 # few\n  learningRate: 2e-3\n  recompute: false\n  precision: f32\n" +
      "run:\n  dir: runs/a\nsample:\n  prompts: [春, steel]\n",
    "sft.yaml": "model: { path: runs/pretrain }\ndata:\n  mix: weight\n  sets:\n    - alpaca_zh\n" +
      "    - alpaca_en: 0.2\ntrain:\n  epochs: 1.5\n  packing: true\n",
  });
}

async function writeRecipe(dir: string): Promise<void> {
  const arpa = [
    "\\data\\",
    "ngram 1=6",
    "ngram 2=2",
    "",
    "\\1-grams:",
    "-99\t<s>\t-0.5",
    "-1\t</s>",
  ];
  arpa.push("-3\t<unk>", "-0.5\t▁a\t-0.25", "-0.25\tnd", "-2\ta", "", "\\2-grams:");
  arpa.push("-0.125\t<s> ▁a", "-0.25\t▁a nd", "", "\\end\\", "");
  await write(dir, {
    "recipe.yaml":
      "process:\n  - clean_email_mapper:\n  - text_length_filter: { min_len: 6, max_len: 500 }\n" +
      "  - perplexity_filter: { lang: zh, max_ppl: 1500 }\n" +
      "  - words_num_filter: { lang: zh, tokenization: true, min_num: 1 }\n" +
      "  - document_simhash_deduplicator: { tokenization: character, window_size: 4 }\n",
    "in.jsonl": LINES,
    "zh.arpa": arpa.join("\n"),
    "zh.sp.model": sentencePieceModel({ "▁": -3, "▁a": -1, "a": -4, "n": -4, "d": -4, "nd": -1 }),
  });
}

/** A model as training leaves it, the same in several files, and with an older tokenizer's files. */
async function writeModels(dir: string, sharded: string, old: string): Promise<void> {
  await writePruned(dir, false);
  using checkpoint = await openCheckpoint(dir);
  const { config } = checkpoint;
  const texts = async (...names: string[]) =>
    Object.fromEntries(
      await Promise.all(
        names.map(async (name) => [name, await Deno.readTextFile(`${dir}/${name}`)]),
      ),
    );
  const common = {
    config,
    dtype: "BF16" as const,
    tensors: (name: string) => checkpoint.readFloat32(name),
  };
  const tokenizer = await texts("tokenizer.json", "tokenizer_config.json");
  await writeCheckpoint(sharded, { ...common, files: tokenizer, maxShardBytes: 4000 });
  const { model: { vocab, merges }, added_tokens: added } = JSON.parse(tokenizer["tokenizer.json"]);
  const told = {
    ...JSON.parse(tokenizer["tokenizer_config.json"]),
    added_tokens_decoder: Object.fromEntries(
      added.map(({ id, ...rest }: { id: number }) => [id, rest]),
    ),
  };
  const lines = merges.map((merge: string | string[]) => [merge].flat().join(" ") + "\n").join("");
  await writeCheckpoint(old, {
    ...common,
    files: {
      "vocab.json": JSON.stringify(vocab),
      "merges.txt": `#version: 0.2\n${lines}`,
      "tokenizer_config.json": JSON.stringify(told),
    },
  });
}

/** An adapter of rank 2 for the model: all of its linear layers are updated. */
async function writeAdapter(dir: string, model: string): Promise<void> {
  using checkpoint = await openCheckpoint(model);
  const parts = [...linearLayers(checkpoint.config)].flatMap(([module, weight]) =>
    updateParameters(module, weight, { rank: 2, scale: 2 })
  );
  await Deno.mkdir(dir, { recursive: true });
  await writeAdapterFiles(dir, {
    parts,
    dtype: "F32",
    tensors: (name) => {
      const { shape: [rows, columns] } = parts.find((part) => part.name === name)!;
      return Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i));
    },
    files: {
      "adapter_config.json": adapterConfigJson({ rank: 2, alpha: 4, dropout: 0 }, model, [
        ...new Set(parts.map(({ name }) => name.split(".").at(-3)!)),
      ]),
    },
  });
}

async function writeMixture(dir: string, model: string): Promise<void> {
  await write(dir, {
    "mixture.yaml": "sequence: 15\nblocksPerShard: 4\ntokenizer: tokenizer.json\nsources:\n" +
      "  - { name: one, files: one.jsonl, recipe: recipe.yaml, weight: 3 }\n" +
      "  - { name: two, files: [two.jsonl], weight: 1 }\n",
    "one.jsonl": LINES,
    "two.jsonl": LINES,
    "recipe.yaml": "process:\n  - text_length_filter: { min_len: 3 }\n",
    "tokenizer.json": await Deno.readFile(`${model}/tokenizer.json`),
  });
  const settings = await readPrepareSettings(`${dir}/mixture.yaml`);
  await prepare({ ...settings, output: `${dir}/first` });
}

async function writeShards(dir: string, mixture: string): Promise<void> {
  const common = { tokenizer: `${mixture}/tokenizer.json`, sequence: 15, blocksPerShard: 4 };
  const sources = [{ name: "made up", files: [`${mixture}/one.jsonl`] }];
  for (const format of ["steel", "litpkds"] as const) {
    await tokenize({ ...common, sources, format, output: `${dir}/${format}` });
  }
}

async function writeEvaluation(dir: string, exam: string): Promise<void> {
  const options = ["--model=always:A", `--data=${exam}`, "--shots=1", `--out=${dir}/results`];
  await Deno.mkdir(dir, { recursive: true });
  await mustRun(await commandOf("eval", ["exam", ...options]), dir);
}

/** A training run of two steps, that knows its own files by paths from its folder. */
async function writeRun(dir: string): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  const args = await tinyRun(dir, ...RUN_OPTIONS);
  await mustRun(await commandOf("pretrain", args.map((arg) => arg.replaceAll(dir, "."))), dir);
}

/** What the run was started with, besides `tinyRun`'s. */
export const RUN_OPTIONS = ["--train.steps=2", "--train.gpu=deno", "--sample.tokens=2"];

async function mustRun(command: string[], cwd: string): Promise<void> {
  const { status, stderr } = await run(command, cwd);
  if (status !== 0) throw new Error(`the inputs cannot be made: ${stderr}`);
}
