/**
 * What the authors' scripts make of model answers, case by case: the letters here were computed by
 * running the scripts' rules in Python, over a reimplementation of `thefuzz` where they use it.
 */

import { assertEquals } from "@std/assert";
import type { Letter, Question } from "../../eval/benchmarks/benchmark.ts";
import { letterOfCevalAnswer } from "../../eval/extraction/ceval-answer.ts";
import { letterOfCevalReasoning } from "../../eval/extraction/ceval-reasoning.ts";
import { letterOfCmmluAnswer } from "../../eval/extraction/cmmlu-answer.ts";
import { mostSimilar } from "../../eval/extraction/fuzzy-match.ts";
import { letterOfMmluAnswer } from "../../eval/extraction/mmlu-answer.ts";

type Case = [answer: string, letter: Letter | undefined | typeof GUESSED, question?: Question];

/** Stands for a letter drawn at random. */
const GUESSED = "a guess";

function question(text: string, A: string, B: string, C: string, D: string): Question {
  return { subject: "made_up", id: "0", text, options: { A, B, C, D } };
}

const LEAF = question(
  "绿色植物制造养分的过程称为____。",
  "光合作用",
  "呼吸作用",
  "蒸腾作用",
  "以上都不是",
);
const BOILING = question(
  "一个标准大气压下，纯水沸腾时的温度约为____",
  "0摄氏度",
  "50摄氏度",
  "100摄氏度。",
  "1000摄氏度",
);
const WATER = question("水的沸点____", "光合作用", "呼吸作用", "蒸腾作用", "以上都不是");
const ORBIT = question("下列各项。____是太阳系最大的行星", "水星", "地球。", "木星", "火星");
const PLANET = question(
  "Which planet is the largest?",
  "Mercury",
  "The Earth.",
  "Jupiter",
  "None of these",
);
const PRODUCT = question("What is 6 * 7?", "40", "42", "None", "42.0 (float)");

function check(
  cases: Case[],
  usual: Question,
  extract: (answer: string, question: Question) => string | undefined,
) {
  for (const [answer, letter, question = usual] of cases) {
    assertEquals(extract(answer, question), letter, JSON.stringify(answer));
  }
}

Deno.test("letters of Steel-LLM's C-Eval answers", () => {
  check(CEVAL, LEAF, (answer, question) => letterOfCevalAnswer(answer, question, "the prompt"));
});

Deno.test("a repeated C-Eval prompt is no part of the answer", () => {
  const prompt = "以下是一道单选题:\n问\n\nA. 光合作用\n请给出答案。\n";
  assertEquals(letterOfCevalAnswer(`${prompt}C`, LEAF, prompt), "C");
});

Deno.test("letters of CMMLU answers, guessed where there is nothing to go by", () => {
  const guess = () => GUESSED as Letter;
  check(CMMLU, LEAF, (answer, question) => letterOfCmmluAnswer(answer, question, "", guess));
});

Deno.test("letters of Steel-LLM's MMLU answers", () => {
  check(MMLU, PLANET, letterOfMmluAnswer);
});

Deno.test("letters of C-Eval's chains of thought", () => {
  check(REASONING, LEAF, letterOfCevalReasoning);
});

Deno.test("the most similar text is thefuzz's", () => {
  const rivers = ["the Yellow River", "Yangtze", "Pearl River delta", "Songhua"];
  assertEquals(mostSimilar("river, yellow!", rivers), 0);
  assertEquals(mostSimilar("Yangtse it is, longest of all of them", rivers), 1);
  // One word in common outweighs a longer likeness.
  assertEquals(mostSimilar("It is the yangtse that is longest of all of them", rivers), 0);
  assertEquals(mostSimilar("delta of the pearl", rivers), 2);
  assertEquals(mostSimilar("…?!", rivers), 0);
  assertEquals(mostSimilar("same", ["x", "same", "same"]), 1);
  // Letters of Latin-1 are dropped.
  assertEquals(mostSimilar("é", ["x", "é"]), 0);
  // A text within one eight times as long counts for less than one within one of four times.
  assertEquals(mostSimilar("钢铁 cold iron", ["ore", "钢", "old"]), 2);
  // Words compared count for a little less than the texts themselves.
  assertEquals(mostSimilar("to ore of tin", ["铁", "tin ore", "ore"]), 2);
  // All words of one in the other, and some.
  assertEquals(mostSimilar("ore of tin", ["old oven", "tin ore", "tin é"]), 1);
  assertEquals(mostSimilar("ore slags", ["plate", "ore of tin", "old"]), 1);
  // A word that is said twice counts once beside others, and parts of texts of equal length both ways.
  assertEquals(mostSimilar("plate", ["a a", "the 钢", "rail"]), 0);
  assertEquals(
    mostSimilar("plate", ["cold ore of tin ore of tin", "the oven to", "铁 the the"]),
    2,
  );
});

const CEVAL: Case[] = [
  ["A", "A"],
  ["A.", "A"],
  ["B。", "B"],
  ["C，因为", "C"],
  ["(D)", "D"],
  ["（B）", "B"],
  ["A：光合作用", "A"],
  ["A. 光合作用", "A"],
  ["光合作用", "A"],
  ["以上都不是", "D"],
  ["答案是A", "A"],
  ["答案是A。", "A"],
  ["答案为B", "B"],
  ["答案：C", "C"],
  ["答案是：B。", "B"],
  ["正确答案是C选项。", "C"],
  ["选择B。", "B"],
  ["应该选C，理由如下", "C"],
  ["我认为应该选D。", "D"],
  ["【答案】：C。", "C"],
  ["答案不是A，而是B。", "A"],
  ["答案并非C，应为D。", "C"],
  ["选项A不正确，选项B正确", "B"],
  ["D不正确，A正确", "A"],
  ["A不对，C对。", "C"],
  ["C选项不符合，B选项符合题意", "B"],
  ["A和B都正确", "B"],
  ["AB", "A"],
  ["ABCD", "A"],
  ["BC。", "A"],
  ["A、B", "A"],
  ["既选A又选C", "C"],
  ["ＡＢＣ", "A"],
  ["Ａ", "A"],
  ["答案是Ｂ", "D"],
  ["Ｃ。光合作用", "A"],
  ["a", "A"],
  ["答案是b", "D"],
  ["我不知道", "D"],
  ["", "A"],
  ["\n", "A"],
  ["   ", "A"],
  ["A\n", "A"],
  ["\nB", "B"],
  ["答案是C\n因为叶绿体", "C"],
  ["最终答案是D", "D"],
  ["最终答案是 C 没错", "C"],
  ["所以最终答案是：A", "A"],
  ["绿色植物制造养分的过程称为光合作用", "A"],
  ["这一过程是光合", "A"],
  ["植物的蒸腾", "C"],
  ["ATP是能量，选C", "C"],
  ["DNA", "A"],
  ["B=2", "A"],
  ["维生素C", "C"],
  ["光合作用和呼吸作用", "A"],
  ["不是光合作用，是蒸腾作用", "A"],
  ["The answer is B.", "B"],
  ["I choose D", "D"],
  ["答案是光合作用", "A"],
  ["选呼吸作用。", "B"],
  ["综上，蒸腾作用正确", "C"],
  ["题目考查光合作用，答案选A。", "A"],
  ["A对的，B错", "A"],
  ["选项为：D", "D"],
  ["选项中B为正确", "B"],
  ["𠮷野家选C。", "C"],
  ["100摄氏度", "C", BOILING],
  ["100", "C", BOILING],
  ["1000摄氏度", "D", BOILING],
  ["一个标准大气压下，纯水沸腾时的温度约为100摄氏度。", "C", BOILING],
  ["温度是50摄氏度", "B", BOILING],
  ["0摄氏度", "A", BOILING],
  ["水在一百度沸腾", "A", BOILING],
  ["选择一二三四五六七八九十A。", "A"],
  ["C不对，答案不是A。", "C"],
  ["B与C之中选A\n", "A"],
  ["B错，最终答案是A没错", "A"],
  ["A，最终答案是B没错", "A"],
  ["(A)最终答案是B没错", "A"],
  ["不像B，绿色植物制造养分的过程称为光合作用", "A"],
  ["B，水的沸点A", "B", WATER],
  ["B不像，选择木星是太阳系最大的行星", "C", ORBIT],
  ["B错，选C选项。", "C"],
  ["B错，选择一二三四五六七八九十A。", "B"],
];
const CMMLU: Case[] = [
  ["A", "A"],
  ["D选项", "D"],
  ["", GUESSED],
  ["\n", GUESSED],
  ["若看图是B，则答案是A", "A"],
  ["若看图是B，则答案为：A", "A"],
  ["若看图是B，则答案是： A", "A"],
  ["若看图是B，则答案选项是A", "A"],
  ["若看图是B，则答案是选项A", "A"],
  ["若看图是B，则答案是选项 A", "A"],
  ["因B错，选A", "A"],
  ["因B错，故选择A", "A"],
  ["因B错，选择：A", "A"],
  ["因B错，选： A", "A"],
  ["可见A选项正确，C当选", "A"],
  ["可见A 项正确，C当选", "A"],
  ["可见A项正确，C当选", "A"],
  ["可见A选项为正确，C当选", "A"],
  ["因B错，正确选项是A", "A"],
  ["因B错，正确的选项为 A", "A"],
  ["若看图是B，则答案应该是A", "A"],
  ["选项A正确，C当选", "A"],
  ["选项 A 是正确，C当选", "A"],
  ["选项 A 正确，C当选", "A"],
  ["因B错，选择答案 A", "A"],
  ["因B错，答案A", "A"],
  ["因B错，答案：A", "A"],
  ["因B错，答：A", "A"],
  ["因B错，A符合题意", "A"],
  ["因B错，A选项符合题意", "A"],
  ["因B错，A项是符合题意", "A"],
  ["因B错，A项符合题意", "A"],
  ["因B错，答案选项：A", "A"],
  ["因B错，答案选项 A", "A"],
  ["因B错，答案选项： A", "A"],
  ["因B错，答案为前者，即A", "A"],
  ["答案为前者，即A，不是B", "A"],
  ["因B错，答案选项为前者A", "A"],
  ["A不对，B当选", "A"],
  ["因此A错，B当选", "B"],
  ["选项A、B均当选，D不当选", "B"],
  ["只有A当选，B正确", "A"],
  ["因此A错，B更正确", "B"],
  ["因此A错，B更正确，D不正确", "B"],
  ["其中，正确", GUESSED],
  ["A和B，原因是：C", "A"],
  ["由A和B看，该是C", "C"],
  ["由A和B看，该是 C", "C"],
  ["由A和B看，不是A，而是C", "C"],
  ["不是：D", "D"],
  ["唯有B", "B"],
  ["甲乙丙A丁", "A"],
  ["(A)", "A"],
  ["（D）", "D"],
  ["不是A", "A"],
  ["因此A或B", GUESSED],
  ["选项有A、B、C", GUESSED],
  ["由A和B看，答案\n是\nC", "C"],
  ["C\nD", "C"],
  ["1. A 2. B", GUESSED],
  ["我不知道", GUESSED],
  ["无法确定", GUESSED],
  ["光合作用", GUESSED],
  ["Ａ", GUESSED],
  ["答案是Ａ", GUESSED],
  ["b", GUESSED],
  ["答案是b", GUESSED],
  ["The answer is C", "C"],
  ["B错，不是A", "B"],
  ["因此A，\r所以D当选", "D"],
];
const MMLU: Case[] = [
  ["A", "A"],
  ["D:", "D"],
  ["A\n", "A"],
  ["(B)", "B"],
  [" C", "C"],
  ["A. Mercury", "A"],
  ["Jupiter", "C"],
  ["jupiter", "C"],
  ["JUPITER.", "C"],
  ["The Earth", "B"],
  ["the earth.", "B"],
  ["None of these", "D"],
  ["Mercury", "A"],
  ["mercuy", "A"],
  ["Jupitre", "C"],
  ["Earth", "B"],
  ["nothing", "D"],
  ["", "A"],
  ["\n", "A"],
  ["?", "A"],
  ["The answer is C", "C"],
  ["The answer is C.", "C"],
  ["Answer: B", "B"],
  ["answer: D", "D"],
  ["The correct answer is A.", "A"],
  ["The answer is not A, it is B", "A"],
  ["The answer isn't C. D is", "C"],
  ["The answer is (D)", "D"],
  ["The answer: Jupiter", "C"],
  ["choice is C", "C"],
  ["I choose D", "D"],
  ["Choose: B", "B"],
  ["Choosing C", "C"],
  ["A is correct", "A"],
  ["B is right", "B"],
  ["C is the correct one", "C"],
  ["D is not correct", "D"],
  ["A isn't correct; B is correct", "B"],
  ["A is not right. C is right.", "C"],
  ["A and B are correct", "B"],
  ["Both A and C", "A"],
  ["AB", "B"],
  ["A or B", "A"],
  ["ABCD", "B"],
  ["I think A", "A"],
  ["None", "D"],
  ["D, because none of these", "D"],
  ["Ａ", "A"],
  ["The answer is Ｂ", "B"],
  ["答案是C", "C"],
  ["答案C", "C"],
  ["答案是 D。", "D"],
  ["x = A", "A"],
  ["A=1, so C", "C"],
  ["BA degree", "B"],
  ["I don't know", "D"],
  ["The largest planet is Jupiter.", "C"],
  ["The largest planet is Jupiter, not the Earth.", "C"],
  ["It's mercury", "A"],
  ["a", "B"],
  ["the answer is b", "B"],
  ["Option C is correct", "C"],
  ["The answer is B\nbecause of mass", "B"],
  ["Answer:\n\nC", "C"],
  ["**D**", "D"],
  ["The choices A and B are wrong, so C", "A"],
  ['I\'d go with "D"', "D"],
  ["The best answer would be option B", "B"],
  ["correct: A", "A"],
  ["right", "B"],
  ["42", "B", PRODUCT],
  ["42.0", "B", PRODUCT],
  ["forty two", "C", PRODUCT],
  ["None", "C", PRODUCT],
  ["40 + 2 = 42", "A", PRODUCT],
  ["The answer is 42.0 (float)", "D", PRODUCT],
  ["42.0 (FLOAT)", "D", PRODUCT],
  ["The answer is 40", "A", PRODUCT],
  ["B is bad; the answer is not A", "B"],
  ["the earth, not A", "B"],
  ["A吗？The answer is选项C", "A"],
];
const REASONING: Case[] = [
  ["所以答案是A。", "A"],
  ["1. 叶绿体吸收光。\n2. 放出氧气。\n所以答案是B。", "B"],
  ["所以答案是C", "C"],
  ["所以答案是C。所以答案是D。", "D"],
  ["所以答案是光合作用。", "A"],
  ["所以答案是光合作用。B", "B"],
  ["所以答案是 A。", "A"],
  ["所以答案是A或B。", "A"],
  ["所以答案是B\n。", "B"],
  ["A是正确的", "A"],
  ["B是正确的，C不是", "B"],
  ["选项C正确", "C"],
  ["选项D正确。", "D"],
  ["选项A不正确", "A"],
  ["答案为 C", "C"],
  ["答案是D", "D"],
  ["正确答案是A", "A"],
  ["答案选B", "B"],
  ["答案B，理由", "B"],
  ["选择了D", "D"],
  ["答案：A", "A"],
  ["选A", "A"],
  ["故选B", "B"],
  ["A", "A"],
  ["(D)", "D"],
  ["A B", undefined],
  ["A、B都对", undefined],
  ["AB", undefined],
  ["没有字母", undefined],
  ["光合作用", "A"],
  ["应该是呼吸作用", "B"],
  ["蒸腾作用和光合作用", undefined],
  ["以上都不是", "D"],
  ["", undefined],
  ["\n", undefined],
  ["Ａ", undefined],
  ["答案是Ｂ", undefined],
  ["a", undefined],
  ["答案不是A", "A"],
  ["答案不是A，是C", undefined],
  ["A不是正确的", "A"],
  ["因此A错，B错，C错，所以答案是D。", "D"],
  ["所以，答案是B。", "B"],
  ["所以答案为C。", "C"],
  ["答案应该是D", "D"],
  ["1. 题目问的是养分。\n2. 呼吸作用消耗养分。\n所以答案是A。\n\n题目：下一题\n所以答案是C。", "C"],
  ["所以答案是E。", undefined],
  ["所以答案是E。其实是B", "B"],
  ["选项B是正确的", "B"],
  ["D选项是正确的", "D"],
  ["只有C符合", "C"],
  ["ATP", "A"],
  ["DNA", undefined],
  ["维生素C", "C"],
  ["我选择D，因为", "D"],
  ["综上所述，选项A正确，答案是B", "A"],
  ["答案为A，选项C正确", "C"],
  ["A是正确的，选择B", "A"],
  ["植物", undefined],
  ["1. 2. 3.", undefined],
  ["B错，答案为A", "A"],
  ["B错，答案A", "A"],
  ["B错，选择A", "A"],
  ["B错，答案：A", "A"],
];
