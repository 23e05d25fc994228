/** Instruction sets in LLaMA-Factory's formats: what is read of each, and what is passed over. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
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
  assertEquals(await conversations(records), [{ turns }, { turns }]);
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
    assertThrows(find("chats"), UserError, 'expected "alpaca" or "sharegpt"');
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
  assertThrows(
    () => chooseExamples(sets(2, 1), "fraction", 7),
    UserError,
    "more than the whole set",
  );
});
