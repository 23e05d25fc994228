import { BarChart, PieChart } from "echarts/charts";
import { GridComponent, LegendComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { escapeHtml, htmlPage } from "../html-page.ts";
import type { CleanReport, Composition, Tally } from "./clean-report.ts";

use([BarChart, GridComponent, LegendComponent, PieChart, SVGRenderer]);

/** A report of a cleaning as an HTML page. */
export function cleanReportPage(report: CleanReport): string {
  const { read, kept, steps, warnings, problems, listed, leftOut } = report;
  const dropping = steps.filter(({ dropped, missing }) => dropped > 0 && missing === undefined);
  const body = `<h1>Cleaned documents</h1>
<p>${count(read.documents)} documents were read and ${count(kept.documents)} stay
(${percent(kept.documents, read.documents)}), ${percent(kept.characters, read.characters)} of the
characters. ${count(leftOut)} records were left out by the rules of their corpus,
${count(problems.passedOver)} records or files could not be read, ${
    count(problems.kept)
  } are odd but kept.</p>
${list(warnings)}
<h2>Steps</h2>
${
    table(
      ["operator", "reached", "changed", "dropped", "would keep alone"],
      steps.map(({ name, missing, reached, changed, dropped, passing }) =>
        missing === undefined
          ? [name, count(reached), count(changed), count(dropped), passing ? count(passing) : ""]
          : [name, "left out", "", "", ""]
      ),
    )
  }
<h2>Dropped, by operator</h2>
${dropping.length === 0 ? "<p>None.</p>" : dropChart(dropping)}
<h2>Lengths, in characters</h2>
${lengthChart(read, kept)}
<h2>Languages</h2>
${compositionTable("language", read.languages, kept.languages)}
<h2>Mixture</h2>
${mixtureChart(kept.sources)}
${compositionTable("source", read.sources, kept.sources)}
${problems.first.length === 0 ? "" : "<h2>Problems</h2>"}
${list(problems.first.map(({ file, place, reason }) => `${file}, ${place ?? "file"}: ${reason}`))}
${listed.length === 0 ? "" : "<h2>Documents that hold questions of benchmarks</h2>"}
${list(listed.map(({ file, place, reason }) => `${file}, ${place}: ${reason}`))}`;
  return htmlPage({ title: "Cleaned documents", style: STYLE, body });
}

const STYLE = `
body { margin: 0 auto; max-width: 760px; padding: 16px 20px 48px; color: #222;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2em; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; padding-left: 0; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; }
li { overflow-wrap: anywhere; }`;

const COLORS = ["#7ea6d3", "#2f7d4f", "#c23531", "#8a5ab0", "#d99b2b", "#4aa3a2", "#999999"];

function dropChart(steps: { name: string; dropped: number }[]): string {
  const rows = steps.toReversed();
  return draw(40 + 30 * rows.length, {
    grid: { left: 240, right: 60, top: 8, bottom: 28 },
    xAxis: { type: "value", minInterval: 1 },
    yAxis: { type: "category", data: rows.map(({ name }) => name), axisTick: { show: false } },
    series: [{
      type: "bar",
      data: rows.map(({ dropped }) => dropped),
      label: { show: true, position: "right" },
    }],
  });
}

function lengthChart(read: Composition, kept: Composition): string {
  const first = read.lengths.findIndex((documents) => documents > 0);
  const bins = read.lengths.map((_, bin) => bin).slice(Math.max(first, 0));
  const series = (name: string, { lengths }: Composition) => ({
    name,
    type: "bar",
    data: bins.map((bin) => lengths[bin] ?? 0),
  });
  return draw(280, {
    legend: { top: 0 },
    grid: { left: 60, right: 20, top: 34, bottom: 30 },
    xAxis: { type: "category", data: bins.map((bin) => `${count(2 ** bin)}–`) },
    yAxis: { type: "value", minInterval: 1 },
    series: [series("read", read), series("kept", kept)],
  });
}

function mixtureChart(sources: Record<string, Tally>): string {
  const data = Object.entries(sources).map(([name, { characters: value }]) => ({ name, value }));
  if (data.length < 2) return "";
  return draw(300, {
    series: [{ type: "pie", radius: "65%", data, label: { formatter: "{b} {d} %" } }],
  });
}

function draw(height: number, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 720, height });
  const textStyle = { fontFamily: "system-ui, sans-serif" };
  chart.setOption({ animation: false, color: COLORS, textStyle, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function compositionTable(
  what: string,
  read: Record<string, Tally>,
  kept: Record<string, Tally>,
): string {
  const total = Object.values(kept).reduce((sum, { characters }) => sum + characters, 0);
  return table(
    [what, "read", "kept", "characters kept", "share"],
    Object.entries(read).map(([name, { documents }]) => {
      const { documents: left, characters } = kept[name] ?? { documents: 0, characters: 0 };
      return [name, count(documents), count(left), count(characters), percent(characters, total)];
    }),
  );
}

function table(heading: string[], rows: string[][]): string {
  const row = (cells: string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${row(heading, "th")}${rows.map((cells) => row(cells, "td")).join("")}</table>`;
}

function list(items: string[]): string {
  return items.length === 0
    ? ""
    : `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join("")}</ul>`;
}

function count(number: number): string {
  return number.toLocaleString("en");
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${(100 * part / whole).toFixed(1)} %`;
}
