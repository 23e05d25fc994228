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

Deno.test("a bar within a cell ends no cell of Markdown", () => {
  assertEquals(
    markdownTable(TABLE),
    "|  | right |\n| --- | ---: |\n| 古文，诗体 | 7 |\n| a \\| b | 12.5 |\n\n*of all*",
  );
});
