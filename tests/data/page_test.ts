import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertStringIncludes,
} from "@std/assert";
import { barChart, columnChart, intervalChart, lineChart } from "../../data/page/charts.ts";
import { chartFile, COLORS } from "../../data/page/draw.ts";
import { toHtml } from "../../data/page/html.ts";
import { lossChart } from "../../data/page/loss-chart.ts";
import { toMarkdown } from "../../data/page/markdown.ts";
import type { PageBlock } from "../../data/page/page.ts";

const HOSTILE = `<img src=x onerror="f()"> [a](b) | \`c\` *d* _e_ ~f~ \\ &amp;`;
const IN_HTML = "&lt;img src=x onerror=&quot;f()&quot;&gt; [a](b) | `c` *d* _e_ ~f~ \\ &amp;amp;";
const IN_MARKDOWN =
  `\\<img src=x onerror="f()"\\> \\[a\\](b) \\| \\\`c\\\` \\*d\\* \\_e\\_ \\~f\\~ \\\\ \\&amp;`;

Deno.test("no text of a page is markup, in HTML as in Markdown", () => {
  const table = {
    title: "",
    columns: [HOSTILE, HOSTILE],
    rows: [[HOSTILE, HOSTILE]],
    notes: [HOSTILE],
  };
  const chart = barChart([{ name: "a", value: 1, label: "1" }], "count");
  const blocks: PageBlock[] = [
    { kind: "heading", level: 2, text: HOSTILE },
    { kind: "heading", level: 2, text: HOSTILE },
    { kind: "heading", level: 2, text: HOSTILE },
    { kind: "text", text: HOSTILE },
    { kind: "list", items: [HOSTILE], summary: HOSTILE },
    { kind: "figures", figures: [{ label: HOSTILE, value: HOSTILE }] },
    { kind: "table", table, summary: HOSTILE, cards: true },
    { kind: "chart", title: HOSTILE, chart, caption: HOSTILE },
    { kind: "quote", text: HOSTILE },
    { kind: "chat", turns: [{ speaker: "user", text: HOSTILE }] },
  ];
  const page = { title: HOSTILE, blocks };
  const html = toHtml(page);
  assertNotMatch(html, /<img|onerror="/);
  // Twice in the title; three headings, each in the contents too; and all others.
  assertEquals(html.split(IN_HTML).length - 1, 2 + 2 * 3 + 16);

  const { text } = toMarkdown(page, "charts");
  // What HTML has in `summary` is HTML in Markdown too.
  assertEquals(text.split(IN_MARKDOWN).length - 1, 1 + 2 * 3 + 14);
  assertEquals(text.split(`<summary>${IN_HTML}</summary>`).length - 1, 2);
  assertNotMatch(text, /(?<!\\)<img/);
});

Deno.test("in Markdown, no line of a text begins a list, a heading, a rule or code", () => {
  const text = "- a\n+ b\n1. c\n2) d\n# e\n---\n===\n    f\n> g\n1.5\n```";
  const quote = toMarkdown({ title: "T", blocks: [{ kind: "quote", text }] }, "charts").text;
  assertEquals(
    quote.split("\n").slice(2).map((line) => line.trimEnd()),
    [
      ...["> \\- a", "> \\+ b", "> 1\\. c", "> 2\\) d", "> \\# e", "> \\---", "> \\==="],
      ...["> &nbsp;&nbsp;&nbsp;&nbsp;f", "> \\> g", "> 1.5", "> \\`\\`\\`", ""],
    ],
  );
  const code = toMarkdown({ title: "T", blocks: [{ kind: "code", text: "a\n```\nb" }] }, "charts");
  assertStringIncludes(code.text, "\n````sh\na\n```\nb\n````\n");
});

Deno.test("a page of several sections lists them, with links that lead there", () => {
  const headings = ["First, a part", "诗", "诗", "T"];
  const blocks = headings.map((text): PageBlock => ({ kind: "heading", level: 2, text }));
  const html = toHtml({ title: "T", blocks });
  const links = [...html.matchAll(/<a href="#([^"]*)">/g)].map(([, anchor]) => anchor);
  // As GitHub makes them of the headings of a Markdown page, the title among them.
  assertEquals(links, ["first-a-part", "诗", "诗-1", "t-1"]);
  for (const anchor of links) assertStringIncludes(html, `<h2 id="${anchor}">`);
  const { text } = toMarkdown({ title: "T", blocks }, "charts");
  assertStringIncludes(
    text,
    "- [First, a part](#first-a-part)\n- [诗](#诗)\n- [诗](#诗-1)\n- [T](#t-1)",
  );
  assertNotMatch(toHtml({ title: "T", blocks: blocks.slice(2) }), /<nav/);
});

const LOSSES = {
  training: Array.from(
    { length: 224 },
    (_, i): [number, number] => [i + 1, 0.9 + 7 * Math.exp(-i / 8)],
  ),
  validation: [[112, 0.95], [224, 0.92]] as [number, number][],
  unit: "nats a token",
};

Deno.test("every colour of a chart has a dark one, and its file is well-formed", () => {
  const charts = [
    lossChart({ ...LOSSES, unigramEntropy: 1.5 }),
    lineChart({
      curves: "abcde".split("").map((name) => ({ name, points: [[1, 1], [9, 2]] })),
      unit: "",
    }),
    barChart([{ name: "a", value: 20, label: "20", error: 3 }], "percent", {
      value: 25,
      label: "25",
    }),
    barChart([{ name: 'a "b" <c> & \u0000', value: 2, label: "2" }], "count"),
    columnChart(["a", "b"], "x", [{ name: "c", values: [1, 2] }, { name: "d", values: [2, 1] }]),
  ];
  const colors = new Set<string>(Object.values(COLORS));
  for (const chart of charts) {
    for (const svg of [chart.wide, chart.narrow]) {
      const painted = svg.replace(/<defs[^]*?<\/defs>|<path [^>]*fill-opacity="0"[^>]*>/g, "");
      const colorsOf = (pattern: RegExp) =>
        [...painted.matchAll(pattern)].map(([, color]) => color);
      const used = new Set([
        ...colorsOf(/<text [^>]*fill="([^"]*)"/g),
        ...colorsOf(/stroke="([^"]*)"/g),
        // A line of the legend has this colour for its area, and no area.
        ...colorsOf(/fill="([^"]*)"/g).filter((color) => color !== "none" && color !== "#000"),
      ]);
      assertEquals([...used].filter((color) => !colors.has(color)), []);
    }
    const file = chartFile(chart);
    assertStringIncludes(file, "prefers-color-scheme: dark");
    for (const [tag] of file.matchAll(/<[^>]*>/g)) {
      assertMatch(tag, /^<(\/[a-z]+|[a-z]+( [\w:-]+="[^"<]*")*)\s*\/?>$/i);
    }
    // deno-lint-ignore no-control-regex -- which no XML may hold
    assertNotMatch(file, /[\u0000-\u0008]/);
  }
});

Deno.test("an axis of equal values has even steps too", () => {
  const { wide } = intervalChart([{ name: "a", value: 25, label: "25", error: 0 }], "%");
  const axis = [...wide.matchAll(/text-anchor="middle"[^>]*>([\d.]+)</g)].map(([, label]) => label);
  assertEquals(axis, ["20", "25", "30"]);
});

Deno.test("long names of rows are whole, on a phone too", () => {
  const name = "dense, SwiGLU on both layers, equal operations";
  const { wide, narrow } = intervalChart([{ name, value: 25, label: "25" }], "%");
  for (const svg of [wide, narrow]) assertStringIncludes(svg, `>${name}</text>`);
});

Deno.test("a chart of losses shows the end of the run, not its first steps alone", () => {
  const axis = (svg: string) =>
    [...svg.matchAll(/text-anchor="end"[^>]*>([\d.]+)</g)].map(([, label]) => Number(label));
  const { wide } = lossChart(LOSSES);
  // The first loss is 7.9, of which the later ones would be a flat line.
  assertEquals(Math.max(...axis(wide)), 1.4);
  assertMatch(wide, />224<\/text>/);
  for (const name of ["each step", "mean of 6 steps", "validation"]) {
    assertStringIncludes(wide, `>${name}</text>`);
  }
  const tenths =
    lineChart({ curves: [{ name: "", points: [[1, 0.3], [9, 0.67]] }], unit: "" }).wide;
  assertEquals(axis(tenths), [0.3, 0.4, 0.5, 0.6, 0.7]);
  const withEntropy = lossChart({ ...LOSSES, unigramEntropy: 6.5 }).wide;
  assertStringIncludes(withEntropy, ">unigram entropy 6.50</text>");
  assert(Math.max(...axis(withEntropy)) >= 6.5);
});
