/** The embedded sets: facts about poems that are true, balanced, and held out of everything else. */
import { assert, assertEquals } from "@std/assert";
import { splitPoems } from "../../data/corpora/poem-split.ts";
import { embeddedPreferences } from "../../data/exam/embedded-instructions.ts";
import { poemQuestions } from "../../data/exam/poem-questions.ts";
import { Random } from "../../data/random.ts";

const poems = await splitPoems();
const questions = poemQuestions(poems, "heldOut", 160, new Random(0));
const textOf = (part: "training" | "heldOut") =>
  [poems.tang, poems.ci, poems.odes, poems.song]
    .flatMap((split) => split[part].map(({ lines }) => lines.join("")));

Deno.test("each kind is asked equally often, and each letter is right equally often", () => {
  const count = (key: (question: typeof questions[number]) => string) =>
    Object.values(Object.groupBy(questions, key)).map((group) => group?.length);
  assertEquals(count(({ kind, exam }) => kind + exam.answer), new Array(16).fill(10));
  assertEquals(questions, poemQuestions(poems, "heldOut", 160, new Random(0)));
});

Deno.test("the right option is right: it is the author, the next verse, the number of verses", () => {
  const all = textOf("heldOut");
  for (const { kind, exam: { question, options, answer }, right, wrong } of questions) {
    const option = options["ABCD".indexOf(answer)];
    assertEquals(right, `${option}。`);
    assert(right !== wrong && options.includes(wrong.slice(0, -1)));
    assertEquals(new Set(options).size, 4);
    const [text] = question.split("\n");
    if (kind === "author") {
      const by = poems.tang.heldOut.filter(({ lines }) => lines.join("").includes(text));
      assert(by.some(({ author }) => author === option));
    } else if (kind === "form") {
      const verses = text.split(/[，。！？；、：]/).filter((verse) => verse !== "");
      const form = (verses[0].length === 5 ? "五" : "七") + (verses.length === 4 ? "绝" : "律");
      assertEquals(option, form);
    } else if (kind === "next line") {
      assert(all.some((poem) => new RegExp(`${text}[，。！？；、：]${option}`).test(poem)));
    }
  }
});

Deno.test("no poem of the exam is among those to learn from", () => {
  const training = new Set(textOf("training"));
  const repeated = textOf("heldOut").filter((text) => training.has(text));
  assertEquals(repeated, []);
});

Deno.test("no letter is preferred: each beats a wrong one as often as it beats rambling", async () => {
  const exams = (await embeddedPreferences({ seed: 1 }))
    .filter(({ chosen }) => /^[A-D]$/.test(chosen));
  const flaws = Object.groupBy(
    exams,
    ({ chosen, rejected }) => `${chosen} over ${/^[A-D]$/.test(rejected) ? "a letter" : "words"}`,
  );
  assertEquals(Object.keys(flaws).length, 8);
  for (const pairs of Object.values(flaws)) assertEquals(pairs?.length, exams.length / 8);
  const rejected = Object.groupBy(
    exams.filter(({ rejected }) => /^[A-D]$/.test(rejected)),
    ({ rejected }) => rejected,
  );
  for (const pairs of Object.values(rejected)) assert(pairs!.length > exams.length / 16);
});
