import { BarChart, CustomChart, LineChart } from "echarts/charts";
import {
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
} from "echarts/components";
import { type EChartsCoreOption, init, setPlatformAPI, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { escapeHtml } from "./escape.ts";
import { displayWidth } from "./table.ts";
import type { PageText } from "./words.ts";

use([
  BarChart,
  CustomChart,
  GridComponent,
  LegendComponent,
  LineChart,
  MarkLineComponent,
  SVGRenderer,
  TitleComponent,
]);

// No font is there to measure. ECharts' own guess is for a narrow one: in others, names in legends overlap.
setPlatformAPI({
  measureText: (text, font) => ({
    width: 7 / 12 * (parseFloat(/([\d.]+)px/.exec(font ?? "")?.[1] ?? "12")) * displayWidth(text),
  }),
});

/**
 * A chart as SVG text that needs nothing else and no script, in two sizes: text that is readable on
 * a desk is too small on a phone.
 */
export interface Chart {
  /** For the screen of a desk. */
  wide: string;
  /** For a phone. */
  narrow: string;
}

/** The size of a picture, in pixels. */
export interface Size {
  /** From left to right. */
  width: number;
  /** From top to bottom. */
  height: number;
}

/** The colours of charts. */
export const COLORS = {
  paper: "#ffffff",
  ink: "#222222",
  soft: "#5b6068",
  line: "#dde0e5",
  faint: "#c3c8cf",
  blue: "#2f6fab",
  red: "#c23531",
  green: "#2f7d4f",
  purple: "#8a5ab0",
  orange: "#c77414",
  teal: "#1f8a8a",
  brown: "#7a5230",
  pink: "#c24f8f",
} as const;

/** The same where the reader prefers light text on a dark page. */
const DARK: Record<keyof typeof COLORS, string> = {
  paper: "#15171b",
  ink: "#e4e6ea",
  soft: "#a3a9b3",
  line: "#333840",
  faint: "#515863",
  blue: "#6fb0ec",
  red: "#ff7f73",
  green: "#62c48b",
  purple: "#c39be6",
  orange: "#f0a352",
  teal: "#5cc9c9",
  brown: "#c29a75",
  pink: "#ee8fc2",
};

/** A style sheet that gives the charts of a page, or a picture itself, their dark colours. */
export const DARK_CHARTS = `@media screen and (prefers-color-scheme: dark) {
${
  Object.entries(DARK).flatMap(([name, dark]) =>
    ["fill", "stroke"].map((what) =>
      `svg [${what}="${COLORS[name as keyof typeof COLORS]}"] { ${what}: ${dark}; }`
    )
  ).join("\n")
}
}`;

// Without quotes: ECharts writes them as they are into an attribute that has quotes of its own.
const FONT = "system-ui, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif";

/**
 * Draws a chart in both sizes, with its texts in English.
 *
 * @param texts those of the texts that the chart is to have in Chinese too
 */
export function drawChart(
  option: (size: "wide" | "narrow") => EChartsCoreOption,
  sizes: Record<"wide" | "narrow", Size>,
  texts: readonly PageText[] = [],
): Chart {
  return {
    wide: withChinese(draw(option("wide"), sizes.wide), texts),
    narrow: withChinese(draw(option("narrow"), sizes.narrow), texts),
  };
}

/** Puts the Chinese of texts beside their English, in the same place. */
function withChinese(svg: string, texts: readonly PageText[]): string {
  const chinese = new Map(
    texts.flatMap((text): [string, string][] =>
      typeof text === "string" || text.en === text.zh
        ? []
        : [[escapeHtml(text.en), escapeHtml(text.zh)]]
    ),
  );
  return svg.replace(/<text([^>]*)>([^<]*)<\/text>/g, (english, attributes, text) => {
    const zh = chinese.get(text);
    if (zh === undefined) return english;
    return `<text xml:lang="en"${attributes}>${text}</text>` +
      `<text xml:lang="zh"${attributes}>${zh}</text>`;
  });
}

/** A picture of a chart with its English texts alone, for pages and files that have no others. */
export function englishPicture(svg: string): string {
  return svg.replace(/<text xml:lang="zh"[^>]*>[^<]*<\/text>/g, "").replaceAll(
    ' xml:lang="en"',
    "",
  );
}

/** The wide picture of a chart as the text of an SVG file that is dark where the reader prefers it. */
export function chartFile({ wide }: Chart): string {
  return englishPicture(wide).replace(">", `>\n<style>${DARK_CHARTS}</style>`);
}

function draw(option: EChartsCoreOption, size: Size): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...size });
  chart.setOption({
    animation: false,
    backgroundColor: COLORS.paper,
    textStyle: { fontFamily: FONT, color: COLORS.ink },
    ...option,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg
    // This is for pointers, and its names would count the charts that were drawn before this one.
    .replace(/<style[^]*?<\/style>\s*/g, "").replace(/ (class|ecmeta_\w+)="[^"]*"/g, "")
    // XML holds no such characters, not even escaped.
    .toWellFormed()
    // deno-lint-ignore no-control-regex
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd");
}
