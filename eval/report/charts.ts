import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, MarkLineComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { GroupScore } from "../scores.ts";

use([
  BarChart,
  CustomChart,
  GridComponent,
  LegendComponent,
  LineChart,
  MarkLineComponent,
  SVGRenderer,
]);

/**
 * A chart as SVG text that needs nothing else and no script, in two sizes: text that is readable on
 * a desk is too small on a phone.
 */
export interface Chart {
  /** For a screen of a desk. */
  wide: string;
  /** For a phone. */
  narrow: string;
}

/** A curve over optimizer steps. */
export interface Series {
  /** Its name in the legend. */
  name: string;
  /** Its points, by step. */
  points: [step: number, value: number][];
}

const WIDE = { width: 720, height: 320 };
const NARROW = { width: 340, height: 260 };
const COLORS = ["#7ea6d3", "#c23531", "#2f7d4f", "#8a5ab0"];
const INK = "#555";
const PERCENT_AXIS = {
  ...{ type: "value", min: 0, max: 100, interval: 25 },
  axisLabel: { formatter: "{value} %" },
};

/** Curves over optimizer steps. */
export function lineChart(series: Series[], unit: string): Chart {
  return bothSizes(() => ({
    legend: series.length > 1 ? { top: 0, itemGap: 24 } : undefined,
    grid: { left: 64, right: 18, top: series.length > 1 ? 34 : 14, bottom: 44 },
    xAxis: {
      ...{ type: "value", name: "step", nameLocation: "middle", nameGap: 26, max: "dataMax" },
      axisLabel: { hideOverlap: true },
    },
    yAxis: { ...{ type: "value", name: unit, nameLocation: "middle", nameGap: 48 }, scale: true },
    series: series.map(({ name, points }, index) => ({
      ...{ name, type: "line", data: points, sampling: "lttb" },
      // A series of few points, such as validations, is easier to follow with marks.
      ...(points.length < 60 && index > 0 ? { symbolSize: 5 } : { symbol: "none" }),
      lineStyle: { width: index === 0 ? 1.2 : 2 },
    })),
  }));
}

/** Bars of accuracies in percent with their standard errors, and a line at guessing. */
export function accuracyChart(groups: GroupScore[], average: "macro" | "micro"): Chart {
  const bars = groups.map((group) => ({ name: group.name, ...group[average] })).toReversed();
  const errors = bars.flatMap(({ accuracy, standardError }, index) =>
    standardError === undefined
      ? []
      : [[100 * (accuracy - standardError), 100 * (accuracy + standardError), index]]
  );
  const height = 58 + 30 * bars.length;
  return bothSizes(() => ({
    grid: { left: 112, right: 46, top: 22, bottom: 30 },
    xAxis: PERCENT_AXIS,
    yAxis: {
      ...{ type: "category", data: bars.map(({ name }) => name), axisTick: { show: false } },
      axisLabel: { width: 100, overflow: "truncate" },
    },
    series: [
      {
        type: "bar",
        data: bars.map(({ accuracy }) => 100 * accuracy),
        barWidth: 16,
        label: {
          ...{ show: true, position: "insideLeft", color: "#222" },
          formatter: ({ value }: { value: number }) => value.toFixed(1),
        },
        markLine: {
          ...{ silent: true, symbol: "none", data: [{ xAxis: 25 }] },
          lineStyle: { type: "dashed", color: INK },
          label: { formatter: "guessing 25 %", color: INK },
        },
      },
      { type: "custom", data: errors, renderItem: errorBar, encode: { x: [0, 1], y: 2 }, z: 3 },
    ],
  }), { wide: { ...WIDE, height }, narrow: { ...NARROW, height } });
}

/** One bar of shares that add up to the whole. */
export function shareChart(shares: Record<string, number>): Chart {
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const percent = Object.entries(shares).map(([name, share]) => ({
    name,
    value: 100 * share / total,
  }));
  const height = 44 + 26 * percent.length;
  return bothSizes(() => ({
    grid: { left: 136, right: 56, top: 8, bottom: 30 },
    xAxis: PERCENT_AXIS,
    yAxis: {
      ...{ type: "category", inverse: true, data: percent.map(({ name }) => name) },
      ...{ axisTick: { show: false }, axisLabel: { width: 124, overflow: "truncate" } },
    },
    series: [{
      type: "bar",
      data: percent.map(({ value }) => value),
      barWidth: 14,
      label: {
        ...{ show: true, position: "right" },
        formatter: ({ value }: { value: number }) => `${value.toFixed(1)} %`,
      },
    }],
  }), { wide: { ...WIDE, height }, narrow: { ...NARROW, height } });
}

/** The part of ECharts' custom-series interface that error bars use. */
interface BarPlace {
  value(dimension: number): number;
  coord(point: [number, number]): [number, number];
}

function errorBar(_params: unknown, place: BarPlace) {
  const [from, y] = place.coord([place.value(0), place.value(2)]);
  const [to] = place.coord([place.value(1), place.value(2)]);
  const line = (x1: number, y1: number, x2: number, y2: number) => ({
    type: "line",
    shape: { x1, y1, x2, y2 },
    style: { stroke: INK, lineWidth: 1.2 },
  });
  const half = 4;
  return {
    type: "group",
    children: [
      line(from, y, to, y),
      line(from, y - half, from, y + half),
      line(to, y - half, to, y + half),
    ],
  };
}

function bothSizes(
  option: () => EChartsCoreOption,
  sizes = { wide: WIDE, narrow: NARROW },
): Chart {
  return { wide: draw(option(), sizes.wide), narrow: draw(option(), sizes.narrow) };
}

function draw(option: EChartsCoreOption, size: { width: number; height: number }): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...size });
  chart.setOption({
    ...{ animation: false, color: COLORS, textStyle: { fontFamily: "system-ui, sans-serif" } },
    ...option,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
