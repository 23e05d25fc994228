/** Instruction sets in LLaMA-Factory's formats: what is read of each, and what is passed over. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { createHash } from "node:crypto";
import type { Conversation, Preference } from "../../data/instructions/conversation.ts";
import type { ExamStyle } from "../../data/instructions/exam.ts";
import { chooseExamples, parseSetChoice } from "../../data/instructions/mix-sets.ts";
import { Problems, readConversations, readPreferences } from "../../data/instructions/read-set.ts";
import { findSets, type InstructionSet } from "../../data/instructions/registry.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const OPTIONS = { name: "小钢", author: "炼钢者", exams: "reasoning" as ExamStyle | "both" };

/** What a file of these records holds, under an entry of the registry or by itself. */
async function read<T>(
  content: unknown[] | string,
  entry: object | undefined,
  reader: (set: InstructionSet, options: typeof OPTIONS, problems: Problems) => AsyncIterable<T>,
  file = "set.json",
  options = OPTIONS,
): Promise<{ found: T[]; problems: Problems }> {
  return await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/${file}`,
      typeof content === "string" ? content : JSON.stringify(content),
    );
    const registry = { mine: { file_name: file, ...entry } };
    if (entry) await Deno.writeTextFile(`${dir}/dataset_info.json`, JSON.stringify(registry));
    const [set] = findSets([entry ? "mine" : `${dir}/${file}`], [dir]);
    const problems = new Problems();
    return { found: await Array.fromAsync(reader(set, options, problems)), problems };
  });
}

async function conversations(content: unknown[] | string, entry?: object, file?: string) {
  return (await read<Conversation>(content, entry, readConversations, file)).found;
}

async function preferences(content: unknown[], entry?: object) {
  return (await read<Preference>(content, entry, readPreferences)).found;
}

Deno.test("alpaca: instruction and input, and what the registry's columns name", async () => {
  const record = {
    instruction: "翻译",
    input: "春",
    output: "spring",
    system: "你是译者",
    history: [["你好", "您好"]],
  };
  const plain = { turns: [{ question: "翻译\n春", answer: "spring" }] };
  const whole = {
    system: "你是译者",
    turns: [{ question: "你好", answer: "您好" }, ...plain.turns],
  };
  assertEquals(await conversations([record]), [whole], "a file by itself: every field");
  assertEquals(await conversations([record], {}), [plain], "no columns: the three defaults only");
  const columns = {
    prompt: "instruction",
    response: "output",
    system: "system",
    history: "history",
  };
  const [first, last] = whole.turns;
  const withoutInput = { ...whole, turns: [first, { ...last, question: "翻译" }] };
  assertEquals(await conversations([record], { columns }), [withoutInput]);
});

Deno.test("sharegpt and OpenAI: a system message, several turns, other names for roles", async () => {
  const expected = {
    system: "简短",
    turns: [{ question: "一", answer: "1" }, { question: "二", answer: "2" }],
  };
  const messages = (role: string, content: string, user: string, assistant: string) =>
    [["system", "简短"], [user, "一"], [assistant, "1"], [user, "二"], [assistant, "2"]]
      .map(([who, what]) => ({ [role]: who, [content]: what }));
  const sharegpt = { conversations: messages("from", "value", "human", "gpt") };
  const openai = { messages: messages("role", "content", "user", "assistant") };
  assertEquals(await conversations([sharegpt]), [expected]);
  assertEquals(await conversations([sharegpt], { formatting: "sharegpt" }), [expected]);
  assertEquals(await conversations([openai]), [expected]);
  const lines = `${JSON.stringify(openai)}\n\n${JSON.stringify(openai)}\n`;
  assertEquals(await conversations(lines, undefined, "set.jsonl"), [expected, expected]);
  const entry = {
    formatting: "sharegpt",
    columns: { messages: "messages" },
    tags: {
      role_tag: "role",
      content_tag: "content",
      user_tag: "user",
      assistant_tag: "assistant",
      system_tag: "system",
    },
  };
  assertEquals(await conversations([openai], entry), [expected]);
  assertEquals(await conversations([openai], { formatting: "openai" }), [expected]);
});

Deno.test("a table of instructions is read by its header, compressed or not", async () => {
  const table = 'instruction,input,output\r\n翻译,春,spring\r\n你好,,"您好，\n旅人"\r\n';
  const expected = [
    { turns: [{ question: "翻译\n春", answer: "spring" }] },
    { turns: [{ question: "你好", answer: "您好，\n旅人" }] },
  ];
  assertEquals(await conversations(table, undefined, "set.csv"), expected);
  const columns = { prompt: "q", response: "a" };
  const named = table.replace("instruction", "q").replace("output", "a").replace("春", "");
  const [first, second] = expected;
  const plain = { turns: [{ ...first.turns[0], question: "翻译" }] };
  assertEquals(await conversations(named, { columns }, "set.CSV"), [plain, second]);
  const { problems } = await read(table + "a,b,c,d\r\n", undefined, readConversations, "set.csv");
  assertStringIncludes(problems.first[0], "line 5: it has 4 cells, but there are 3 columns");
  const twice = "instruction,output,output\na,b,c\n";
  await assertRejects(
    () => conversations(twice, undefined, "s.csv"),
    UserError,
    "two columns output",
  );
});

Deno.test("every key of dataset_info.json is honoured, or refused by its name", async () => {
  const record = { instruction: "一加一？", output: "二" };
  const columns = { prompt: "instruction", response: "output" };
  const found = [{ turns: [{ question: "一加一？", answer: "二" }] }];
  const honoured = {
    ...{ hf_hub_url: "a/b", ms_hub_url: null, formatting: "alpaca", ranking: false },
    ...{ split: "train", subset: null, columns: { ...columns, history: null, images: null } },
    file_sha1: createHash("sha1").update(JSON.stringify([record])).digest("hex"),
  };
  assertEquals(await conversations([record], honoured), found);
  const refused: [entry: object, message: string][] = [
    [{ colums: columns }, 'the key "colums" is unknown; did you mean "columns"?'],
    [{ subset: "zh" }, '"subset" chooses a part'],
    [{ folder: "a" }, '"folder" chooses a part'],
    [{ split: "train[:10%]" }, '"split" chooses a part'],
    [{ formatting: "sharegtp" }, '"formatting" must be "alpaca", "sharegpt" or "openai"'],
    [{ ranking: "yes" }, '"ranking" must be true or false'],
    [{ num_samples: 1.5 }, '"num_samples" must be a whole number'],
    [{ file_sha1: "0".repeat(40) }, "is not the file whose"],
    [{ columns: ["prompt"] }, '"columns" must be an object'],
    [{ columns: { promt: "q" } }, '"promt" is not one of the columns; did you mean "prompt"?'],
    [{ columns: { prompt: 1 } }, '"prompt" of "columns" must be text'],
    [{ columns: { ...columns, images: "images" } }, 'the column "images" is not read'],
    [{ columns: { messages: "m" } }, 'the column "messages" is of the formatting "sharegpt"'],
    [{ formatting: "openai", columns }, 'the column "prompt" is of the formatting "alpaca"'],
    [{ columns: { ...columns, chosen: "c" } }, 'the column "chosen" is of pairs'],
    [{ ranking: true, columns }, 'need the column "chosen"'],
    [{ tags: { role_tag: "role" } }, '"tags" are for the formatting'],
    [{ formatting: "sharegpt", tags: { user: "u" } }, '"user" is not one of the tags'],
    [{ file_name: "../set.json" }, "leads out of the folder"],
    [{ file_name: "a/../../set.json" }, "leads out of the folder"],
  ];
  for (const [entry, message] of refused) {
    const error = await assertRejects(() => conversations([record], entry), UserError, message);
    assertStringIncludes(error.message, 'the set "mine" of dataset_info.json: ');
  }
});

Deno.test("a set may be a folder of files, or lie anywhere if its whole path is given", () =>
  inTemporaryFolder(async (dir) => {
    const of = (name: string) => JSON.stringify({ instruction: name, output: "答" });
    await Deno.mkdir(`${dir}/data/parts`, { recursive: true });
    await Deno.writeTextFile(`${dir}/data/parts/b.jsonl`, of("二") + "\n");
    await Deno.writeTextFile(`${dir}/data/parts/a.json`, `[${of("一")}]`);
    await Deno.writeTextFile(`${dir}/elsewhere.json`, `[${of("三")}]`);
    const registry = {
      folder: { file_name: "parts" },
      elsewhere: { file_name: `${dir}/elsewhere.json` },
    };
    await Deno.writeTextFile(`${dir}/data/dataset_info.json`, JSON.stringify(registry));
    const questions = async (name: string) => {
      const [set] = findSets([name], [`${dir}/data`]);
      const read = readConversations(set, OPTIONS, new Problems());
      return (await Array.fromAsync(read)).map(({ turns }) => turns[0].question);
    };
    assertEquals(await questions("folder"), ["一", "二"]);
    assertEquals(await questions("elsewhere"), ["三"]);
  }));

Deno.test("what an entry declares is read, whatever else a record looks like", async () => {
  const row = { question: "首都是哪里？", A: "北京", B: "上海", answer: "A", why: "是北京。" };
  const columns = { prompt: "question", response: "why" };
  const expected = [{ turns: [{ question: "首都是哪里？", answer: "是北京。" }] }];
  assertEquals(await conversations([row], { columns }), expected);
  assertEquals((await conversations([row], {}))[0].turns[0].answer, "A", "nothing is declared");
});

Deno.test("answers marked as bad, pictures and history of another kind are passed over", async () => {
  const good = { instruction: "问", output: "答", kto_tag: true };
  const bad = [
    { ...good, kto_tag: false },
    { ...good, kto_tag: 1 },
    { ...good, images: ["a.png"] },
    { ...good, history: "你好" },
  ];
  const { found, problems } = await read([good, ...bad], undefined, readConversations);
  assertEquals(found.length, 1);
  assertEquals(problems.first.map((problem) => problem.replace(/^.*?, /, "")), [
    'entry 2: its answer is marked as a bad one ("kto_tag" is false)',
    'entry 3: its "kto_tag" is neither true nor false',
    "entry 4: it has images, and this model reads text alone",
    "entry 5: its history is not a list of turns",
  ]);
  const columns = { prompt: "instruction", response: "output", kto_tag: "kto_tag" };
  assertEquals((await conversations([good, bad[0]], { columns })).length, 1);
});

Deno.test("ranking: pairs of answers in both formats", async () => {
  const columns = { prompt: "instruction", chosen: "chosen", rejected: "rejected" };
  const alpaca = { instruction: "一加一？", chosen: "二", rejected: "三" };
  const expected = { history: [], question: "一加一？", chosen: "二", rejected: "三" };
  assertEquals(await preferences([alpaca], { ranking: true, columns }), [expected]);
  assertEquals(await preferences([alpaca]), [expected]);
  const sharegpt = {
    conversations: [{ from: "system", value: "算" }, { from: "human", value: "一加一？" }],
    chosen: { from: "gpt", value: "二" },
    rejected: { from: "gpt", value: "三" },
  };
  const entry = {
    formatting: "sharegpt",
    ranking: true,
    columns: { messages: "conversations", chosen: "chosen", rejected: "rejected" },
  };
  assertEquals(await preferences([sharegpt], entry), [{ system: "算", ...expected }]);
  await assertRejects(() => conversations([alpaca], { ranking: true, columns }), UserError, "dpo");
});

Deno.test("identity sets are filled in, in both spellings", async () => {
  const records = [
    { instruction: "你是谁", output: "我是{{name}}，由{{author}}训练。" },
    { instruction: "你是谁", output: "我是<NAME>，由<AUTHOR>训练。" },
  ];
  const answer = "我是小钢，由炼钢者训练。";
  const turns = [{ question: "你是谁", answer }];
  for (const file of ["identity.json", "self_cognition.jsonl"]) {
    assertEquals(await conversations(records, undefined, file), [{ turns }, { turns }]);
  }
  const asWritten = records.map(({ instruction: question, output: answer }) => ({
    turns: [{ question, answer }],
  }));
  assertEquals(await conversations(records, undefined, "templates.json"), asWritten);
});

Deno.test("exam rows of WanJuan and of the benchmarks become questions", async () => {
  const wanjuan = {
    q_type: "单选题",
    q_main: "一加一等于几",
    option_a: "一",
    option_b: "二",
    option_c: "",
    std_ans: "B",
    answer_detail: "数数即知。故选B",
  };
  const asked = "以下是一道单选题：\n一加一等于几\nA. 一\nB. 二\n";
  const reasoned = {
    turns: [{ question: `${asked}请先给出解释再给出答案。`, answer: "数数即知。\n答案为B" }],
  };
  const direct = { turns: [{ question: `${asked}请直接给出答案。`, answer: "B" }] };
  const put = async (exams: ExamStyle | "both") =>
    (await read([wanjuan], undefined, readConversations, "set.json", { ...OPTIONS, exams })).found;
  assertEquals(await put("reasoning"), [reasoned]);
  assertEquals(await put("answer"), [direct]);
  assertEquals(await put("both"), [reasoned, direct]);
  const ceval = "id,question,A,B,answer,explanation\n0,一加一等于几,一,二,B,\n";
  const cmmlu = ",Question,A,B,Answer\n0,一加一等于几,一,二,B\n";
  const mmlu = '一加一等于几,一,二,"","",B\n';
  for (const table of [ceval, cmmlu, mmlu]) {
    assertEquals(await conversations(table, undefined, "set.csv"), [direct]);
  }
});

Deno.test("what cannot be learnt from is passed over, counted and named", async () => {
  const good = { conversations: [{ from: "human", value: "一" }, { from: "gpt", value: "1" }] };
  const bad = [
    [{ from: "gpt", value: "1" }, { from: "human", value: "一" }],
    [{ from: "human", value: "一" }, { from: "gpt", value: " " }],
    [{ from: "human", value: "一" }],
    [{ from: "human", value: "天气" }, { from: "function_call", value: "{}" }],
    [],
  ].map((conversations) => ({ conversations }));
  const { found, problems } = await read([good, ...bad], undefined, readConversations);
  assertEquals(found.length, 1);
  assertEquals(problems.count, 5);
  const reasons = problems.first.map((problem) => problem.replace(/^.*?, /, ""));
  assertEquals(reasons, [
    'entry 2: message 1 is from "gpt", expected "human"',
    "entry 3: message 2 is empty",
    "entry 4: its last message is not the assistant's",
    "entry 5: message 2 belongs to a tool call, which is not trained here",
    'entry 6: its "conversations" is not a list of messages',
  ]);
  const options = { question: "几", A: "一", B: "二", D: "四", answer: "A" };
  await assertRejects(() => conversations([options]), UserError, "its option C is empty");
  const more = { ...options, C: "三", E: "五", F: "六" };
  await assertRejects(() => conversations([more]), UserError, "it has 6 options, more than 5");
  const tools = { ...good, tools: '[{"name": "weather"}]' };
  await assertRejects(() => conversations([tools]), UserError, "it offers tools");
  await assertRejects(() => conversations([{ a: 1 }]), UserError, "its fields (a)");
  await assertRejects(
    () => conversations([{ instruction: "q", output: "a" }], { columns: { prompt: "instructon" } }),
    UserError,
    'it has no "instructon"',
  );
  const broken = await read("{\n" + JSON.stringify(good), undefined, readConversations, "s.jsonl");
  assertStringIncludes(broken.problems.first[0], "line 1: it is not JSON");
});

Deno.test("a set that is not there is named, with what to do", async () => {
  await inTemporaryFolder(async (dir) => {
    const find = (name: string, folders = [dir]) => () => findSets([name], folders);
    assertThrows(find("identity"), UserError, "there is no dataset_info.json");
    const registry = {
      identity: { file_name: "identity.json" },
      belle: { hf_hub_url: "BelleGroup/train_2M_CN" },
    };
    await Deno.writeTextFile(`${dir}/dataset_info.json`, JSON.stringify(registry));
    assertThrows(find("identiy"), UserError, 'did you mean "identity"?');
    assertThrows(find("identity"), UserError, "identity.json is not in");
    assertThrows(find("belle"), UserError, "download its file (BelleGroup/train_2M_CN)");
    assertThrows(find("other/set.json"), UserError, "other/set.json is not in");
    assertThrows(find("toString"), UserError, 'does not know the set "toString"');
    for (
      const registry of ["null", '["identity.json"]', '{"identity": null}', '{"identity": "x"}']
    ) {
      await Deno.mkdir(`${dir}/damaged`, { recursive: true });
      await Deno.writeTextFile(`${dir}/damaged/dataset_info.json`, registry);
      assertThrows(find("identity", [`${dir}/damaged`]), UserError, "expected an object of sets");
    }
    await Deno.mkdir(`${dir}/elsewhere`);
    await Deno.writeTextFile(`${dir}/elsewhere/identity.json`, "[]");
    const [set] = findSets(["identity"], [dir, `${dir}/elsewhere`]);
    assertEquals(set.path, `${dir}/elsewhere/identity.json`);
    const misspelt = { chats: { file_name: "elsewhere/identity.json", formatting: "sharegtp" } };
    await Deno.writeTextFile(`${dir}/dataset_info.json`, JSON.stringify(misspelt));
    assertThrows(find("chats"), UserError, '"formatting" must be "alpaca"');
  });
});

Deno.test("sets are mixed by fraction or by weight, the same way for the same seed", () => {
  assertEquals(parseSetChoice("alpaca_en: 0.2"), { name: "alpaca_en", amount: 0.2 });
  assertEquals(parseSetChoice("a/b.json"), { name: "a/b.json", amount: 1 });
  assertThrows(() => parseSetChoice("a: 0"), UserError, 'expected "NAME" or "NAME: 0.2"');
  const sets = (a: number, b: number) => [
    { choice: { name: "a", amount: a }, examples: 100 },
    { choice: { name: "b", amount: b }, examples: 50 },
  ];
  const counts = (chosen: Uint8Array[]) => chosen.map((set) => set.reduce((sum, one) => sum + one));
  const fraction = chooseExamples(sets(1, 0.2), "fraction", 7);
  assertEquals(counts(fraction), [100, 10]);
  assertEquals(fraction, chooseExamples(sets(1, 0.2), "fraction", 7));
  assert(String(fraction) !== String(chooseExamples(sets(1, 0.2), "fraction", 8)));
  assertEquals(counts(chooseExamples(sets(1, 4), "weight", 7)), [13, 50]);
  const drawn = (samples: number) => [
    { choice: { name: "a", amount: 0.5, samples }, examples: 100 },
  ];
  assertEquals(counts(chooseExamples(drawn(10), "fraction", 7)), [5]);
  assertThrows(() => chooseExamples(drawn(101), "fraction", 7), UserError, '"num_samples" is 101');
  assertThrows(
    () => chooseExamples(sets(2, 1), "fraction", 7),
    UserError,
    "more than the whole set",
  );
});
