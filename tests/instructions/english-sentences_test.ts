/** The embedded sets in English: what is asked, and that no held-out text is. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { brown } from "../../data/corpora/brown.ts";
import { EMBEDDED_HELD_OUT } from "../../data/corpora/embedded.ts";
import { isHeldOut } from "../../data/token-corpus.ts";
import {
  englishConversations,
  englishExamConversations,
} from "../../data/exam/english-sentences.ts";

Deno.test("sentences to complete and words to choose, of text that is not held out", async () => {
  const sentences = await englishConversations({ seed: 1 });
  const exams = await englishExamConversations({ seed: 1 });
  assertEquals([sentences.length, exams.length], [3552, 3552]);
  const whole = sentences.map(({ turns: [{ question, answer }] }) => {
    assertMatch(question, /^Complete the sentence: \S+( \S+){3}/);
    return `${question.slice("Complete the sentence: ".length)} ${answer}`;
  });
  assert(new Set(whole).size > 3500);
  const answers = Map.groupBy(exams, ({ turns: [{ answer }] }) => answer);
  assertEquals([...answers].map(([letter, { length }]) => [letter, length]), [
    ...["A", "B", "C", "D"].map((letter) => [letter, 888]),
  ]);
  assertMatch(
    exams[1].turns[0].question,
    /^Which word .*\n.+\nA\. \S+\nB\. \S+\nC\. \S+\nD\. \S+\n/,
  );
  assertEquals(await englishConversations({ seed: 1 }), sentences);

  let heldOut = "";
  for await (const { text } of brown()) {
    if (isHeldOut(text, EMBEDDED_HELD_OUT)) heldOut += ` ${text.replace(/\s+/g, " ")}`;
    if (heldOut.length > 20_000) break;
  }
  assertEquals(whole.filter((sentence) => sentence.length > 60 && heldOut.includes(sentence)), []);
});
