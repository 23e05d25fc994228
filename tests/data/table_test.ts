import { assertEquals } from "@std/assert";
import { markdownTable, textTable } from "../../data/page/table.ts";

const TABLE = {
  title: "Scores",
  columns: ["", "right"],
  rows: [["古文，诗体", "7"], ["a | b", "12.5"]],
  notes: ["of all"],
};

Deno.test("columns stand below one another on a terminal, where Chinese is twice as wide", () => {
  assertEquals(
    textTable(TABLE),
    "Scores\n            right\n古文，诗体      7\na | b        12.5\nof all",
  );
});

Deno.test("numbers stand flush right in Markdown, words flush left", () => {
  const ruleOf = (...cells: string[]) => {
    const rows = cells.map((cell) => ["", cell]);
    return markdownTable({ title: "", columns: ["", ""], rows, notes: [] }).split("\n")[1];
  };
  assertEquals(ruleOf("+0.5 ± 0.1", "", "12 %", "7 MB"), "| --- | ---: |");
  assertEquals(ruleOf("12", "nothing"), "| --- | --- |");
  assertEquals(ruleOf("2 of 6 experts"), "| --- | --- |");
});

Deno.test("a bar within a cell ends no cell of Markdown", () => {
  assertEquals(
    markdownTable(TABLE),
    "|  | right |\n| --- | ---: |\n| 古文，诗体 | 7 |\n| a \\| b | 12.5 |\n\n*of all*",
  );
});
