/** The prompts of every protocol, written out; the questions are made up. */

import { assertEquals, assertThrows } from "@std/assert";
import type { Benchmark, Question } from "../../eval/benchmarks/benchmark.ts";
import { ceval } from "../../eval/benchmarks/ceval.ts";
import { cmmlu } from "../../eval/benchmarks/cmmlu.ts";
import { mmlu } from "../../eval/benchmarks/mmlu.ts";
import type { PromptEncoder } from "../../eval/answerer.ts";
import { buildPrompt, letterChoices } from "../../eval/prompt.ts";
import type { LetterAnswer, LetterTurn } from "../../eval/protocols/protocol.ts";
import { protocolNamed } from "../../eval/protocols/protocols.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import { chatMl, renderChat } from "../../model/tokenizer/chat-ml.ts";

const tokenizer = await qwenTokenizer();

const CHINESE_SHOTS: Question[] = [
  {
    subject: "any",
    id: "0",
    text: "一周有____天。",
    options: { A: "5", B: "6", C: "7", D: "8" },
    answer: "C",
    explanation: "1. 从周一数到周日。\n2. 一共七天。",
  },
  {
    subject: "any",
    id: "1",
    text: " 下列颜色中最亮的是____ ",
    options: { A: "黑", B: "白 ", C: "灰", D: "褐" },
    answer: "B",
    explanation: "1. 白色反射的光最多。",
  },
];

const CHINESE: Question = {
  subject: "any",
  id: "0",
  text: "  冰融化后变成____。",
  options: { A: "水", B: "油", C: "气", D: "沙" },
  answer: "A",
};

const ENGLISH_SHOTS: Question[] = [
  {
    subject: "any",
    id: "0",
    text: "How many days make a week?",
    options: { A: "5", B: "6", C: "7", D: "8" },
    answer: "C",
  },
];

const ENGLISH: Question = {
  subject: "any",
  id: "0",
  text: " What does ice melt into? ",
  options: { A: "Water", B: "Oil", C: "Air", D: "Sand" },
  answer: "A",
};

interface Golden {
  subject: string;
  shots: number;
  text: string;
}

function check(
  benchmark: Benchmark,
  protocol: string,
  goldens: Golden[],
  options = { cot: false },
) {
  const format = protocolNamed(protocol)(benchmark, options.cot);
  const [shots, question] = benchmark === mmlu
    ? [ENGLISH_SHOTS, ENGLISH]
    : [CHINESE_SHOTS, CHINESE];
  for (const golden of goldens) {
    const subject = benchmark.subjects.find(({ handle }) => handle === golden.subject)!;
    const prompt = buildPrompt(
      format,
      subject,
      shots.slice(0, golden.shots),
      question,
      tokenizer,
      32768,
    );
    assertEquals(prompt.text, golden.text);
    const whole = format.chat
      ? "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n" +
        golden.text + "<|im_end|>\n<|im_start|>assistant\n"
      : golden.text;
    assertEquals(prompt.ids, tokenizer.encode(whole));
    assertEquals([prompt.shots, prompt.cut], [golden.shots, 0]);
  }
}

Deno.test("official C-Eval", () => {
  check(ceval, "official", [
    {
      subject: "computer_network",
      shots: 2,
      text: "以下是中国关于计算机网络考试的单项选择题，请选出其中的正确答案。\n\n" +
        "一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案：C\n\n" +
        " 下列颜色中最亮的是____ \nA. 黑\nB. 白 \nC. 灰\nD. 褐\n答案：B\n\n" +
        "  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
    {
      subject: "marxism",
      shots: 0,
      text: "以下是中国关于马克思主义基本原理考试的单项选择题，请选出其中的正确答案。\n\n" +
        "  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
    {
      subject: "physician",
      shots: 0,
      text: "以下是中国关于医师资格考试的单项选择题，请选出其中的正确答案。\n\n" +
        "  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
  ]);
});

Deno.test("official C-Eval, step by step", () => {
  check(ceval, "official", [{
    subject: "law",
    shots: 2,
    text: "以下是中国关于法学考试的单项选择题，请选出其中的正确答案。\n\n" +
      "一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案：让我们一步一步思考，\n" +
      "1. 从周一数到周日。\n2. 一共七天。\n所以答案是C。\n\n" +
      " 下列颜色中最亮的是____ \nA. 黑\nB. 白 \nC. 灰\nD. 褐\n答案：让我们一步一步思考，\n" +
      "1. 白色反射的光最多。\n所以答案是B。\n\n" +
      "  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：让我们一步一步思考，\n1.",
  }], { cot: true });
});

Deno.test("official CMMLU", () => {
  check(cmmlu, "official", [
    {
      subject: "agronomy",
      shots: 2,
      text: "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n" +
        "题目：一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案是：C\n\n" +
        "题目： 下列颜色中最亮的是____ \nA. 黑\nB. 白 \nC. 灰\nD. 褐\n答案是：B\n\n" +
        "题目：  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案是：",
    },
    {
      subject: "logical",
      shots: 0,
      text: "以下是关于逻辑学的单项选择题，请直接给出正确答案的选项。\n\n" +
        "题目：  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案是：",
    },
    {
      subject: "chinese_driving_rule",
      shots: 0,
      text: "以下是关于中国驾驶规则的单项选择题，请直接给出正确答案的选项。\n\n" +
        "题目：  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案是：",
    },
  ]);
});

Deno.test("official CMMLU, step by step: only the question asks for steps", () => {
  check(cmmlu, "official", [{
    subject: "arts",
    shots: 1,
    text: "以下是关于艺术学的单项选择题，请分析并选出正确答案。\n\n" +
      "题目：一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案是：C\n\n" +
      "题目：  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n逐步分析并给出答案选项。",
  }], { cot: true });
});

Deno.test("official MMLU: two spaces before the subject", () => {
  check(mmlu, "official", [
    {
      subject: "abstract_algebra",
      shots: 1,
      text: "The following are multiple choice questions (with answers) about  abstract algebra." +
        "\n\nHow many days make a week?\nA. 5\nB. 6\nC. 7\nD. 8\nAnswer: C\n\n" +
        " What does ice melt into? \nA. Water\nB. Oil\nC. Air\nD. Sand\nAnswer:",
    },
    {
      subject: "us_foreign_policy",
      shots: 0,
      text: "The following are multiple choice questions (with answers) about  us foreign policy." +
        "\n\n What does ice melt into? \nA. Water\nB. Oil\nC. Air\nD. Sand\nAnswer:",
    },
    {
      subject: "virology",
      shots: 0,
      text: "The following are multiple choice questions (with answers) about  virology." +
        "\n\n What does ice melt into? \nA. Water\nB. Oil\nC. Air\nD. Sand\nAnswer:",
    },
  ]);
});

Deno.test("harness C-Eval", () => {
  check(ceval, "harness", [
    {
      subject: "computer_network",
      shots: 2,
      text: "以下是中国关于计算机网络的单项选择题，请选出其中的正确答案。\n\n" +
        "一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案： C\n\n" +
        "下列颜色中最亮的是____\nA. 黑\nB. 白 \nC. 灰\nD. 褐\n答案： B\n\n" +
        "冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
    {
      subject: "marxism",
      shots: 0,
      text: "以下是中国关于马克思主义基本原理的单项选择题，请选出其中的正确答案。\n\n" +
        "冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
    {
      subject: "physician",
      shots: 0,
      text: "以下是中国关于医师资格的单项选择题，请选出其中的正确答案。\n\n" +
        "冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
  ]);
});

Deno.test("harness CMMLU", () => {
  check(cmmlu, "harness", [
    {
      subject: "agronomy",
      shots: 1,
      text: "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n" +
        "一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案： C\n\n" +
        "冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
    {
      subject: "logical",
      shots: 0,
      text: "以下是关于逻辑学的单项选择题，请直接给出正确答案的选项。\n\n" +
        "冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
    {
      subject: "chinese_driving_rule",
      shots: 0,
      text: "以下是关于中国驾驶规则的单项选择题，请直接给出正确答案的选项。\n\n" +
        "冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：",
    },
  ]);
});

Deno.test("harness strips what Python takes for space", () => {
  const question = { ...ENGLISH, text: "\x85\u3000\ufeffWhat is ice?\x1c\x85\n" };
  const format = protocolNamed("harness")(mmlu, false);
  const { text } = buildPrompt(format, mmlu.subjects[0], [], question, tokenizer, 1024);
  assertEquals(text.split("\n")[2], "\ufeffWhat is ice?");
});

Deno.test("harness MMLU", () => {
  check(mmlu, "harness", [
    {
      subject: "abstract_algebra",
      shots: 1,
      text: "The following are multiple choice questions (with answers) about abstract algebra." +
        "\n\nHow many days make a week?\nA. 5\nB. 6\nC. 7\nD. 8\nAnswer: C\n\n" +
        "What does ice melt into?\nA. Water\nB. Oil\nC. Air\nD. Sand\nAnswer:",
    },
    {
      subject: "us_foreign_policy",
      shots: 0,
      text: "The following are multiple choice questions (with answers) about us foreign policy." +
        "\n\nWhat does ice melt into?\nA. Water\nB. Oil\nC. Air\nD. Sand\nAnswer:",
    },
    {
      subject: "virology",
      shots: 0,
      text: "The following are multiple choice questions (with answers) about virology." +
        "\n\nWhat does ice melt into?\nA. Water\nB. Oil\nC. Air\nD. Sand\nAnswer:",
    },
  ]);
});

Deno.test("steel-base C-Eval: all in one turn, whatever the subject", () => {
  const question = "以下是一道单项选择题，请直接给出答案。  冰融化后变成____。" +
    "\nA. 水\nB. 油\nC. 气\nD. 沙\n答案：";
  check(ceval, "steel-base", [
    {
      subject: "computer_network",
      shots: 2,
      text: "以下是一道单项选择题，请直接给出答案。一周有____天。" +
        "\nA. 5\nB. 6\nC. 7\nD. 8\n答案：C\n\n" +
        "以下是一道单项选择题，请直接给出答案。 下列颜色中最亮的是____ " +
        "\nA. 黑\nB. 白 \nC. 灰\nD. 褐\n答案：B\n\n" + question,
    },
    { subject: "marxism", shots: 0, text: question },
    { subject: "physician", shots: 0, text: question },
  ]);
});

Deno.test("steel-base CMMLU is CMMLU's own prompt; MMLU has none", () => {
  const end = "题目：  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n答案是：";
  check(cmmlu, "steel-base", [
    {
      subject: "agronomy",
      shots: 1,
      text: "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n" +
        `题目：一周有____天。\nA. 5\nB. 6\nC. 7\nD. 8\n答案是：C\n\n${end}`,
    },
    {
      subject: "logical",
      shots: 0,
      text: `以下是关于逻辑学的单项选择题，请直接给出正确答案的选项。\n\n${end}`,
    },
    {
      subject: "chinese_driving_rule",
      shots: 0,
      text: `以下是关于中国驾驶规则的单项选择题，请直接给出正确答案的选项。\n\n${end}`,
    },
  ]);
  assertThrows(() => protocolNamed("steel-base")(mmlu, false), UserError, "by chat only");
});

Deno.test("steel-chat: each script rewrites blanks in its own way", () => {
  const subjects = (benchmark: Benchmark) =>
    [0, 1, 2].map((index) => benchmark.subjects[index].handle);
  const everywhere = (benchmark: Benchmark, text: string) =>
    check(
      benchmark,
      "steel-chat",
      subjects(benchmark).map((subject) => ({ subject, shots: 0, text })),
    );
  everywhere(
    ceval,
    "以下是一道单选题:\n  冰融化后变成( )\n\nA. 水\nB. 油\nC. 气\nD. 沙\n请给出答案。\n",
  );
  everywhere(
    cmmlu,
    "以下是一道单选题:\n  冰融化后变成。\n\nA. 水\nB. 油\nC. 气\nD. 沙\n请给出答案。\n",
  );
  everywhere(
    mmlu,
    "The following is a multiple-choice question. Please choose the most suitable one among A, " +
      "B, C and D as the answer to this question.\n\n What does ice melt into? \n" +
      "A. Water\nB. Oil\nC. Air\nD. Sand\n",
  );
});

Deno.test("sft: as fine-tuning puts exam questions", () => {
  check(ceval, "sft", [{
    subject: "computer_network",
    shots: 0,
    text: "以下是一道单选题：\n  冰融化后变成____。\nA. 水\nB. 油\nC. 气\nD. 沙\n请直接给出答案。",
  }]);
});

Deno.test("token ids of headers, cues and letters", () => {
  const fixtures: [string, number[]][] = [
    ["A", [32]],
    [" A", [362]],
    ["答案：A", [102349, 5122, 32]],
    ["答案： A", [102349, 5122, 362]],
    ["答案是：", [102349, 20412, 5122]],
    ["\n答案：", [198, 102349, 5122]],
    ["Answer: A", [16141, 25, 362]],
    ["答案: ", [102349, 25, 220]],
    ["以下是中国关于计算机网络的单项选择题，请选出其中的正确答案。\n\n", [
      ...[87752, 105196, 101888, 104564, 71356, 9370, 118781, 50404],
      ...[33872, 37945, 115751, 90919, 9370, 88991, 102349, 3407],
    ]],
    ["以下是中国关于计算机网络考试的单项选择题，请选出其中的正确答案。\n\n", [
      ...[87752, 105196, 101888, 104564, 71356, 103960, 9370, 118781, 50404],
      ...[33872, 37945, 115751, 90919, 9370, 88991, 102349, 3407],
    ]],
    ["<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n", [
      ...[151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198],
      ...[151644, 872, 198],
    ]],
    ["<|im_start|>assistant\n", [151644, 77091, 198]],
  ];
  for (const [text, ids] of fixtures) assertEquals(tokenizer.encode(text), ids, text);

  const ids = (benchmark: Benchmark, protocol: string) =>
    letterChoices(
      protocolNamed(protocol)(benchmark, false).answer as LetterAnswer | LetterTurn,
      tokenizer,
    ).ids;
  const [bare, spaced] = [[32, 33, 34, 35], [362, 425, 356, 422]];
  assertEquals([ceval, cmmlu, mmlu].map((b) => ids(b, "official")), [bare, bare, spaced]);
  assertEquals([ceval, cmmlu, mmlu].map((b) => ids(b, "harness")), [spaced, spaced, spaced]);
  assertEquals(ids(ceval, "sft"), bare);
});

/** One token a character, so that lengths can be counted by eye. */
const encode = (text: string) => [...text].map((character) => character.codePointAt(0)!);
const characters: PromptEncoder = {
  encode,
  encodePrompt: encode,
  encodeChat: (messages) => encode(renderChat(messages, { addGenerationPrompt: true })),
  encodeTurns: (conversation) => chatMl.encodeTurns(conversation, { encode }),
  takesSystem: true,
};

Deno.test("shots give way as each source drops them", () => {
  const fitted = (
    benchmark: Benchmark,
    protocol: string,
    contextLength: number,
    lengths: number[],
  ) => {
    const format = protocolNamed(protocol)(benchmark, false);
    const shots = lengths.map((length) => ({ ...CHINESE_SHOTS[0], text: "长".repeat(length) }));
    const { shots: count, cut, ids, text } = buildPrompt(
      format,
      benchmark.subjects[0],
      shots,
      CHINESE,
      characters,
      contextLength,
    );
    return {
      shots: count,
      cut,
      length: ids.length,
      header: text.startsWith(format.header(benchmark.subjects[0])),
    };
  };
  // C-Eval's header is 34 characters, its question 37, a shot 27 more than its text.
  assertEquals(fitted(ceval, "official", 2048, [10, 20, 30]), {
    shots: 3,
    cut: 0,
    length: 34 + 37 + 37 + 47 + 57,
    header: true,
  });
  assertEquals(fitted(ceval, "official", 211, [10, 20, 30]).shots, 2);
  assertEquals(fitted(ceval, "official", 80, [10, 20, 30]).shots, 0);
  assertEquals(fitted(ceval, "official", 66, [10, 20, 30]), {
    shots: 0,
    cut: 5,
    length: 66,
    header: true,
  });
  // CMMLU drops all shots of the greatest length at once, and then its header.
  assertEquals(fitted(cmmlu, "official", 2048, [20, 1800, 20]).shots, 3);
  assertEquals(fitted(cmmlu, "official", 2048, [20, 1900, 20]).shots, 2);
  assertEquals(fitted(cmmlu, "official", 2048, [1900, 1900, 20]).shots, 1);
  assertEquals(fitted(cmmlu, "official", 60, [20]), {
    shots: 0,
    cut: 0,
    length: 41,
    header: false,
  });
  // Shots must stay below what its header, 30 characters, and question, 41, leave: here one of 51.
  assertEquals(fitted(cmmlu, "official", 30 + 41 + 51, [20]).shots, 0);
  assertEquals(fitted(cmmlu, "official", 30 + 41 + 52, [20]).shots, 1);
  // Its authors' limit and MMLU's are below what a longer model takes.
  assertEquals(fitted(cmmlu, "official", 32768, [2000]).shots, 0);
  assertEquals(fitted(mmlu, "official", 32768, [1000, 1000]).shots, 1);
  // What is generated has to have room.
  assertEquals(fitted(ceval, "steel-chat", 50, []).length, 49);
  // lm-evaluation-harness cuts the beginning off.
  assertEquals(fitted(ceval, "harness", 100, [10, 20, 30]), {
    shots: 3,
    cut: 32 + 35 + 38 + 48 + 58 - 100,
    length: 100,
    header: true,
  });
});

Deno.test("letters that are more than one token are refused", () => {
  const bytes: PromptEncoder = {
    ...characters,
    encode: (text) => [...new TextEncoder().encode(text)],
  };
  const answer: LetterAnswer = { kind: "letters", cue: "\nAnswer:", before: " " };
  assertEquals(letterChoices({ ...answer, before: "" }, bytes).ids, [65, 66, 67, 68]);
  assertThrows(
    () => letterChoices(answer, bytes),
    UserError,
    'writes " A" after "\\nAnswer:" as 2 tokens',
  );
  // Beside a letter, the cue's own last character becomes another token.
  const merging: PromptEncoder = {
    ...characters,
    encode: (text) => bytes.encode(text.replace(/:([A-D])$/, ";$1")),
  };
  assertThrows(
    () => letterChoices({ ...answer, before: "" }, merging),
    UserError,
    "as a part of it",
  );
});

Deno.test("text is drawn as each script draws it", () => {
  const decoding = (benchmark: Benchmark, protocol: string, cot = false) => {
    const { answer } = protocolNamed(protocol)(benchmark, cot);
    return answer.kind === "generated" ? answer.decoding : undefined;
  };
  const greedy = { temperature: 0, topP: 1, repetitionPenalty: 1 };
  const published = { temperature: 0.001, topP: 0.8, repetitionPenalty: 1.1 };
  assertEquals(decoding(ceval, "steel-chat"), { ...greedy, maxNewTokens: 1024 });
  assertEquals(decoding(cmmlu, "steel-chat"), { ...published, maxNewTokens: 64 });
  assertEquals(decoding(mmlu, "steel-chat"), { ...greedy, maxNewTokens: 1024 });
  assertEquals(decoding(ceval, "steel-base"), { ...published, maxNewTokens: 1 });
  assertEquals(decoding(ceval, "official", true), { ...greedy, maxNewTokens: 512 });
  assertEquals(decoding(cmmlu, "official", true), { ...greedy, maxNewTokens: 512 });
});
