/** What fine-tuning says of its examples and of what it measured. */
import { assertEquals } from "@std/assert";
import { preferencesInWords } from "../../train/dpo.ts";
import { describeFirst } from "../../train/sft.ts";

Deno.test("the first example shows its text whole, and ten of its ids and labels", () => {
  const ids = Array.from({ length: 12 }, (_, i) => i);
  const labels = ids.map((id) => id < 9 ? -100 : id);
  const decode = (ids: Iterable<number>) => `<${Array.from(ids).join("")}>`;
  assertEquals(
    describeFirst({ ids, labels }, { decode }),
    "The first example:\nids: 0 1 2 3 4 5 6 7 8 9 ... (12)\ntext: <01234567891011>\n" +
      "labels: -100 -100 -100 -100 -100 -100 -100 -100 -100 9 ... (12)\nlearnt: <91011>",
  );
});

Deno.test("how a model ranks pairs is said in words", () => {
  assertEquals(
    preferencesInWords({
      ...{ loss: 0.5, accuracy: 0.825, margin: 0.75 },
      ...{ chosenReward: 0.5, rejectedReward: -0.25 },
    }),
    "the model prefers the chosen answer in 82.5 %; the mean reward of chosen answers is 0.5000, " +
      "of rejected ones -0.2500, a margin of 0.7500; the loss is 0.5000",
  );
});
