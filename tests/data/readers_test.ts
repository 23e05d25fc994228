import { assertEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "hyparquet-writer";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { ReadingRules } from "../../data/readers/documents.ts";
import type { Problem } from "../../data/readers/problems.ts";
import { readDocuments } from "../../data/readers/read-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const AS_PUBLISHED: ReadingRules = { asPublished: true, textKey: "text" };
const SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n";

function chat(question: string, answer: string): string {
  return `${SYSTEM}<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n${answer}`;
}

/** What a file of that name and content holds: sources, places and texts, and its problems. */
async function read(name: string, content: Uint8Array | string, rules?: ReadingRules) {
  return await inTemporaryFolder(async (dir) => {
    const path = `${dir}/${name}`;
    await Deno.writeFile(path, bytesOf(content));
    const problems: Problem[] = [];
    const documents: string[] = [];
    for await (const document of readDocuments(path, rules, (problem) => problems.push(problem))) {
      documents.push(document.text);
    }
    return {
      texts: documents,
      problems: problems.map(({ place, reason, kept }) =>
        `${place}: ${reason}${kept ? " (kept)" : ""}`
      ),
    };
  });
}

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

async function textsOf(record: unknown, rules?: ReadingRules): Promise<string[]> {
  return (await read("file.jsonl", JSON.stringify(record), rules)).texts;
}

Deno.test("the records of each of the paper's corpora become text as its authors made it", async () => {
  const long = "这是一段足够长的文字，用来超过二十个字的最低限度。";
  const cleaned = long.normalize("NFKC");
  const examples: [record: unknown, text: string | undefined][] = [
    [{ text: " 短\r\n" }, " 短\r\n"],
    [{ id: "1", content: "<p>原文", text: "原文" }, "原文"],
    [{ id: "1", content: "原文，\r\n" }, "原文，\r\n"],
    [
      { q_main: "问", option_a: "甲", option_b: "乙", std_ans: "A", answer_detail: null },
      "问甲乙标准答案：A解析：",
    ],
    [{ completion: `${long}\r\n${long}`, source: "x" }, `${cleaned}\n${cleaned}`],
    [{ completion: "太短", source: "x" }, undefined],
    [
      { title: "题", summary: long, sections: [{ title: "一", content: "Ａ\r" }] },
      `题：${cleaned}一：A`,
    ],
    [{ title: "题", summary: "", sections: [] }, undefined],
    [{ qid: "q", title: "问？", desc: "", answer: null }, chat("问?", "")],
    [
      { INSTRUCTION: "问", RESPONSE: "答", METADATA: '{"upvotes":"赞同 100"}', SOURCE: "Zhihu" },
      chat("问", "答"),
    ],
    [
      { INSTRUCTION: "问", RESPONSE: "答", METADATA: '{"upvotes":"赞同 99"}', SOURCE: "Zhihu" },
      undefined,
    ],
    [{ instruction: long, input: "不用", output: "答" }, `${cleaned}\n答`],
    [
      { conversations: [{ from: "human", value: "问" }, { from: "assistant", value: "end" }] },
      chat("问", "end"),
    ],
    [{ conversation: [{ human: "问", assistant: "答" }] }, chat("问", "答")],
    [{ kind: "NLI", input: "问", target: "答" }, chat("问", "答")],
    [{ content: "int main;\r\n", max_stars_count: 3 }, "int main;\r\n"],
  ];
  for (const [record, text] of examples) {
    assertEquals(await textsOf(record), text === undefined ? [] : [text]);
  }
});

Deno.test("as published, answers lose letters of the closing mark and 万 is no number", async () => {
  const turns = {
    conversations: [{ from: "human", value: "问" }, { from: "assistant", value: "end" }],
  };
  assertEquals(await textsOf(turns, AS_PUBLISHED), [`${chat("问", "")}`.trimEnd()]);
  const popular = { INSTRUCTION: "问", RESPONSE: "答", METADATA: '{"upvotes":"赞同 1.2 万"}' };
  assertEquals(await textsOf(popular), [chat("问", "答")]);
  assertEquals(await textsOf(popular, AS_PUBLISHED), []);
});

Deno.test("a file is read by its ending and first character", async () => {
  const records = Array.from({ length: 600 }, (_, i) => ({ text: `${i} [,"\\]} 文` }));
  records[300].text = "长".repeat(100_000); // more than is read at a time
  const texts = records.map(({ text }) => text);
  const lines = records.map((record) => JSON.stringify(record)).join("\n");
  const array = JSON.stringify(records, null, 2);
  const parquet = new Uint8Array(parquetWriteBuffer({
    columnData: [{ name: "text", data: texts }, {
      name: "n",
      data: texts.map((_, i) => BigInt(i)),
    }],
    rowGroupSize: 100,
  }));
  const files: [name: string, content: Uint8Array | string][] = [
    ["a.jsonl", lines],
    ["a.json", "\uFEFF" + lines + "\n"],
    ["a.jsonl.gz", gzipSync(lines)],
    ["a.jsonl.zst", zstdCompressSync(lines)],
    ["a.json", array],
    ["a.json.gz", gzipSync(array)],
    ["a.parquet", parquet],
  ];
  for (const [name, content] of files) {
    assertEquals(await read(name, content), { texts, problems: [] }, name);
  }
  assertEquals((await read("a.txt", "一\n二\n")).texts, ["一\n二\n"]);
  assertEquals((await read("a.txt.gz", gzipSync("一\n二\n"))).texts, ["一\n二\n"]);
});

Deno.test("records that cannot be read are passed over with their place and what is wrong", async () => {
  const bad = new TextEncoder().encode(
    [
      '{"text":"one"}',
      "not json",
      '{"title":"no text"}',
      '{"text":7}',
      "[1]",
      "",
      '{"text":"a\\u0000b\\ud800"}',
      '{"text":"?"}',
      '{"text":"last"}',
    ].join("\n"),
  );
  bad[bad.lastIndexOf("?".charCodeAt(0))] = 0xFF;
  const { texts, problems } = await read("a.jsonl", bad);
  assertEquals(texts, ["one", "a\0b\uFFFD", "last"]);
  assertEquals(problems.map((problem) => problem.replace(/(JSON: ).*/, "$1…")), [
    "line 2: it is not JSON: …",
    'line 3: it has no field "text", nor the fields of a known corpus (it has title)',
    'line 4: the field "text" is not text',
    "line 5: it is not a JSON object",
    "line 7: it has NUL characters and lone surrogates, replaced by U+FFFD (kept)",
    "line 8: it is not UTF-8",
  ]);
});

Deno.test("a damaged file is refused by name; an empty one has no documents", async () => {
  const lines = '{"text":"x"}\n'.repeat(1000);
  const gzipped = gzipSync(lines);
  const compressed = zstdCompressSync(lines);
  const parquet = new Uint8Array(
    parquetWriteBuffer({ columnData: [{ name: "text", data: ["x"] }] }),
  );
  const damaged: [name: string, content: Uint8Array | string, message: string][] = [
    ["a.jsonl.gz", gzipped.subarray(0, gzipped.length - 9), "damaged or cut short"],
    ["a.jsonl.gz", lines, "damaged or cut short"],
    ["a.jsonl.zst", compressed.subarray(0, compressed.length - 3), "damaged or cut short"],
    [
      "a.parquet",
      parquet.subarray(0, parquet.length - 20),
      "not a Parquet file, or it is cut short",
    ],
    ["a.json", '[{"text":"x"},', "cut short: its array is not closed"],
    ["a.json", '[{"text":"x"}] 1', "goes on after the end"],
  ];
  for (const [name, content, message] of damaged) {
    await assertRejects(() => read(name, content), UserError, message);
  }
  assertEquals(await read("a.jsonl", ""), { texts: [], problems: [] });
  assertEquals(await read("a.txt", ""), { texts: [], problems: [] });
  await assertRejects(() => readDocuments("no/such.jsonl").next(), UserError, "no such file");
});
