import { assertEquals } from "@std/assert";
import { alwaysLetter } from "../../eval/answerer.ts";
import { writeDemoExam } from "../../eval/demo-exam.ts";
import { categoryTable, headline } from "../../eval/result-tables.ts";
import { runEvaluation } from "../../eval/run-evaluation.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

Deno.test("the demo's exam is read like any other in C-Eval's layout, shots included", () =>
  inTemporaryFolder(async (dir) => {
    await writeDemoExam(`${dir}/demo`);
    for (const protocol of ["sft", "official"]) {
      const results = await runEvaluation({
        ...{ benchmark: "exam", protocol, data: `${dir}/demo`, out: `${dir}/${protocol}` },
        ...{ chainOfThought: false, seed: 0, keepGoing: false },
      }, alwaysLetter("B"));
      const { scores, shots } = results;
      assertEquals(shots, protocol === "sft" ? 0 : 5);
      // Nobody has published a score of it: no average has a star.
      assertEquals(categoryTable(results).columns.slice(-2), ["macro", "micro"]);
      // Each letter is right equally often.
      assertEquals(
        scores!.subjects,
        ["form", "source", "author", "next_line"]
          .map((subject) => ({ subject, questions: 60, correct: 15 })),
      );
      assertEquals(headline(results), "25.00 ± 2.82");
      assertEquals(headline({ ...results, limit: 240 }), "25.00 ± 2.82 (240 of val)");
    }
  }));
