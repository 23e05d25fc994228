import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { strToU8, zipSync } from "fflate";
import { parquetWriteBuffer } from "hyparquet-writer";
import { createTar } from "nanotar";
import { Buffer } from "node:buffer";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
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
    ["A.JSONL.ZST", zstdCompressSync(lines)],
    ["a.jsonl.zst", inFrames(lines)],
    ["a.json", array],
    ["a.json.gz", gzipSync(array)],
    ["a.parquet", parquet],
    ["A.PARQUET", parquet],
  ];
  for (const [name, content] of files) {
    assertEquals(await read(name, content), { texts, problems: [] }, name);
  }
  assertEquals((await read("a.txt", "一\n二\n")).texts, ["一\n二\n"]);
  assertEquals((await read("A.TXT.GZ", gzipSync("一\n二\n"))).texts, ["一\n二\n"]);
});

/** Zstandard as `pzstd` and `zstd --long=31` write it: frames, with something to skip between them. */
function inFrames(text: string): Uint8Array {
  const skipped = Uint8Array.of(0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const half = text.length >> 1;
  return Buffer.concat([
    zstdCompressSync(text.slice(0, half)),
    skipped,
    zstdCompressSync("", CHECKED),
    zstdCompressSync(text.slice(half), CHECKED),
  ]);
}

/** Zstandard with the checksum that its command writes. */
const CHECKED = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

Deno.test("lines end in \\n, \\r\\n or \\r alike", async () => {
  // Of the two parts in which the file is read, one ends in the middle of a line's end.
  const long = JSON.stringify({ text: "长".repeat(87_000) }).padEnd((1 << 18) - 1);
  const lines = [long, "not json", '{"text":"一\\r\\n二"}'];
  const whole = await read("a.jsonl", lines.join("\n"));
  assertEquals(whole.problems[0].slice(0, 7), "line 2:");
  assertEquals(whole.texts[1], "一\r\n二");
  for (const end of ["\r\n", "\r"]) {
    const { texts, problems } = await read("a.jsonl", lines.join(end) + end);
    assertEquals([texts, problems.map((problem) => problem.slice(0, 7))], [whole.texts, [
      "line 2:",
    ]]);
    assertEquals((await read("a.txt", `一${end}二${end}${end}`)).texts, ["一\n二\n\n"]);
  }
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

Deno.test("NaN and Infinity, as Python writes them, cost no document", async () => {
  const lines = [
    '{"text":"一 NaN \\" -Infinity","score":NaN}',
    '{"text":"二","scores":[-Infinity, Infinity, 12345678901234567890]}',
    '{"text":"三","NaN":1}',
    '{"text":"四","score":nan}',
  ];
  const odd = "it has NaN or Infinity, which JSON lacks, read as null (kept)";
  for (const content of [lines.join("\n"), `[${lines.join(",")}]`]) {
    const { texts, problems } = await read("a.json", content);
    assertEquals(texts, ['一 NaN " -Infinity', "二", "三"]);
    assertEquals(problems.map((problem) => problem.replace(/^\w+ /, "")).slice(0, 2), [
      `1: ${odd}`,
      `2: ${odd}`,
    ]);
    assertEquals(problems.length, 3);
  }
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
    ["a.jsonl.zst", Buffer.concat([compressed, compressed.subarray(0, 9)]), "within a frame"],
    ["a.jsonl.zst", Buffer.concat([compressed, gzipped]), "no Zstandard frame"],
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
  const last = (file: Uint8Array, fromEnd: number) => {
    const flipped = file.slice();
    flipped[file.length - fromEnd] ^= 1;
    return flipped;
  };
  const checksums: [name: string, content: Uint8Array][] = [
    ["a.jsonl.zst", last(zstdCompressSync(lines, CHECKED), 1)],
    [
      "a.jsonl.zst",
      last(Buffer.concat([zstdCompressSync(lines, CHECKED), compressed]), compressed.length + 1),
    ],
    ["a.jsonl.gz", last(gzipped, 5)],
    ["a.jsonl.gz", last(Buffer.concat([gzipped, gzipped]), gzipped.length + 5)],
  ];
  for (const [name, content] of checksums) {
    await assertRejects(() => read(name, content), UserError, "damaged or cut short");
  }
  assertEquals(await read("a.jsonl", ""), { texts: [], problems: [] });
  assertEquals(await read("a.txt", ""), { texts: [], problems: [] });
  await assertRejects(() => readDocuments("no/such.jsonl").next(), UserError, "no such file");
});

Deno.test("a Parquet file's page that its checksum does not fit is refused", async () => {
  // Written by pyarrow with write_page_checksum=True, one page, not compressed.
  const file = await Deno.readFile(new URL("fixtures/page-checksums.parquet", import.meta.url));
  const texts = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"];
  assertEquals((await read("a.parquet", file)).texts, texts);
  const [first, last] = ["床", "乡"].map((sign) => Buffer.from(file).indexOf(sign));
  for (let at = first; at < last; at++) {
    const flipped = file.slice();
    flipped[at] ^= 2;
    await assertRejects(() => read("a.parquet", flipped), UserError, "does not fit its checksum");
  }
});

Deno.test("an archive is not read as text: the user is told to unpack it", async () => {
  const tar = createTar([{ name: "part-1.jsonl", data: '{"text":"x"}' }]);
  const archives: [name: string, content: Uint8Array, what: string][] = [
    ["part-1.jsonl.tar", tar, "a tar archive"],
    ["part-1.jsonl.tar.gz", gzipSync(tar), "a tar archive"],
    ["part-1.jsonl.tar.zst", zstdCompressSync(tar), "a tar archive"],
    ["a.txt", zipSync({ "a.txt": strToU8("x") }), "a zip archive"],
    ["a.jsonl", gzipSync('{"text":"x"}'), "compressed by gzip, but its name does not end in .gz"],
  ];
  for (const [name, content, what] of archives) {
    const error = await assertRejects(() => read(name, content), UserError, `${name} is ${what}`);
    assertStringIncludes(error.message, "unpack it");
  }
});

Deno.test("a small file that unpacks to very much is given up early", async () => {
  const parts = new Array(10).fill(new Uint8Array(20_000_000));
  const bombs: [name: string, content: Uint8Array][] = [
    ["a.jsonl.gz", Buffer.concat(parts.map((part) => gzipSync(part)))],
    ["a.txt.zst", Buffer.concat(parts.map((part) => zstdCompressSync(part)))],
  ];
  for (const [name, content] of bombs) {
    await assertRejects(
      () => read(name, content),
      UserError,
      `${name} unpacks to more than 200 times`,
    );
  }
});
