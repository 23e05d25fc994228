import { type Chart, COLORS, drawChart } from "./draw.ts";
import { displayWidth } from "./table.ts";
import { inEnglish, type PageText, words } from "./words.ts";

/** A curve over optimizer steps. */
export interface Curve {
  /** Its name in the legend. */
  name: PageText;
  /** Its points, by step. */
  points: Point[];
  /** `raw` is grey and thin, `thin` thin alone, `dots` has a dot for each measurement. */
  look?: "raw" | "thin" | "dots";
}

/** A step and what was measured there. */
export type Point = [step: number, value: number];

/** What was measured at a step, by name. */
interface Measured {
  readonly step: number;
  readonly [name: string]: number;
}

/** A measurement of each step that has it. */
export function pointsOf(
  metrics: readonly Measured[],
  key: string,
): Point[] {
  return metrics.flatMap(({ step, [key]: value }): Point[] =>
    value === undefined ? [] : [[step, value]]
  );
}

/** The latest value of a measurement. */
export function lastOf(metrics: readonly Measured[], key: string): number | undefined {
  return metrics.findLast((line) => line[key] !== undefined)?.[key];
}

/** A dashed line across a chart, at a value to compare with. */
export interface Mark {
  /** Where it is. */
  value: number;
  /** What it stands for. */
  label: PageText;
}

/** What a chart of curves shows. */
export interface Curves {
  /** A title within the picture, where nothing around it has one. */
  title?: string;
  /** The curves; later ones lie above earlier ones. */
  curves: Curve[];
  /** What the values are, with their unit. */
  unit: PageText;
  /** A value to compare with. */
  mark?: Mark;
  /** The largest value that is shown; what lies above is cut off. The largest of all by default. */
  top?: number;
}

/** A bar of a bar chart. */
export interface Bar {
  /** What it stands for. */
  name: PageText;
  /** Its length. */
  value: number;
  /** The value as text. */
  label: string;
  /** The standard error of the value, if it has one. */
  error?: number;
}

/** The name of the axis of optimizer steps. */
const STEP = words("step", "步");

const LINE_COLORS = [
  ...[COLORS.blue, COLORS.red, COLORS.green, COLORS.purple],
  ...[COLORS.orange, COLORS.teal, COLORS.brown, COLORS.pink],
];
const AXIS = {
  axisLine: { lineStyle: { color: COLORS.soft } },
  axisTick: { lineStyle: { color: COLORS.soft } },
  axisLabel: { color: COLORS.soft },
  splitLine: { lineStyle: { color: COLORS.line } },
  nameTextStyle: { color: COLORS.soft },
};
const LEGEND = {
  top: 0,
  itemGap: 14,
  itemWidth: 18,
  textStyle: { color: COLORS.ink },
  inactiveColor: COLORS.soft,
};
/** The height of a line of the legend. */
const LEGEND_LINE = 26;

/** Curves over optimizer steps. */
export function lineChart({ title, curves, unit, mark, top }: Curves): Chart {
  const values = curves.flatMap(({ points }) => points.map(([, value]) => value));
  if (mark) values.push(mark.value);
  const least = values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = top ?? values.reduce((a, b) => Math.max(a, b), -Infinity);
  const last = curves.reduce((a, { points }) => Math.max(a, points.at(-1)?.[0] ?? 0), 1);
  const range = evenRange(least, most);
  const left = Math.max(unit === "" ? 52 : 68, 7 * longestTick(range) + (unit === "" ? 14 : 30));
  const titleHeight = title === undefined ? 0 : 34;
  const names = curves.length > 1 ? curves.map(({ name }) => inEnglish(name)) : [];
  const legend = { wide: legendHeight(names, 720), narrow: legendHeight(names, 340) };
  const lined = curves.filter(({ look }) => look !== "raw");
  const colorOf = (curve: Curve) =>
    curve.look === "raw" ? COLORS.faint : LINE_COLORS[lined.indexOf(curve) % LINE_COLORS.length];
  return drawChart((size) => ({
    color: curves.map(colorOf),
    title: { text: title, left: "center", top: 6, textStyle: { fontSize: 15, color: COLORS.ink } },
    legend: curves.length > 1 ? { ...LEGEND, top: titleHeight } : undefined,
    grid: {
      ...{ left, right: 22, bottom: 46 },
      top: titleHeight + (curves.length > 1 ? 10 + legend[size] : 14),
    },
    xAxis: {
      ...{ ...AXIS, type: "value", name: inEnglish(STEP), nameLocation: "middle", nameGap: 28 },
      ...{ min: 0, max: last, splitLine: { show: false } },
      // The last step is named too: it is the one that the run ended with.
      axisTick: { ...AXIS.axisTick, customValues: stepTicks(last, size === "wide" ? 6 : 4) },
      axisLabel: { ...AXIS.axisLabel, customValues: stepTicks(last, size === "wide" ? 6 : 4) },
    },
    yAxis: {
      ...{
        ...AXIS,
        type: "value",
        name: inEnglish(unit),
        nameLocation: "middle",
        nameGap: left - 18,
      },
      ...range,
    },
    series: curves.map((curve, index) => ({
      ...{ name: inEnglish(curve.name), type: "line", data: curve.points, sampling: "lttb" },
      // A line through one point would not be seen.
      ...(curve.look === "dots" || curve.points.length === 1
        ? { symbol: "circle", symbolSize: 5 }
        : { symbol: "none" }),
      ...{ lineStyle: { width: curve.look === "raw" || curve.look === "thin" ? 1 : 2 } },
      silent: true,
      ...(mark && index === curves.length - 1 && { markLine: markLine("yAxis", mark) }),
    })),
  }), {
    // A legend of several lines makes a picture higher, not its curves lower.
    wide: { width: 720, height: 320 + titleHeight + Math.max(0, legend.wide - LEGEND_LINE) },
    narrow: { width: 340, height: 260 + titleHeight + Math.max(0, legend.narrow - LEGEND_LINE) },
  }, [STEP, unit, ...curves.map(({ name }) => name), ...(mark ? [mark.label] : [])]);
}

/**
 * Bars from left to right, one below another, for values of 0 and more.
 *
 * @param axis `percent` goes from 0 to 100; `count` as far as the longest bar
 */
export function barChart(bars: Bar[], axis: "percent" | "count", mark?: Mark): Chart {
  const { rows, grid, yAxis, errors, sizes } = namedRows(bars, { top: mark ? 24 : 10, bottom: 30 });
  return drawChart(
    (size) => ({
      grid: grid(size),
      xAxis: axis === "percent"
        ? { ...AXIS, type: "value", min: 0, max: 100, interval: 25, axisLabel: PERCENT_LABEL }
        : { ...AXIS, type: "value", min: 0, minInterval: 1, splitNumber: size === "wide" ? 5 : 3 },
      yAxis: yAxis(size),
      series: [
        {
          ...{ type: "bar", data: rows.map(({ value }) => value), barWidth: 16, silent: true },
          itemStyle: { color: COLORS.blue },
          label: {
            ...{ show: true, position: "right", color: COLORS.ink },
            // An error's end would cross a number that stands right of its bar.
            ...(errors.data.length > 0 && { position: "insideLeft", color: COLORS.paper }),
            formatter: ({ dataIndex }: { dataIndex: number }) => rows[dataIndex].label,
          },
          ...(mark && { markLine: markLine("xAxis", mark) }),
        },
        errors,
      ],
    }),
    sizes,
    [...bars.map(({ name }) => name), ...(mark ? [mark.label] : [])],
  );
}

/**
 * Values as dots with their errors, one below another, on an axis that shows how they differ.
 *
 * @param unit what the values are
 */
export function intervalChart(bars: Bar[], unit: string): Chart {
  const { rows, grid, yAxis, errors, sizes } = namedRows(bars, { top: 10, bottom: 46 });
  const ends = rows.flatMap(({ value, error = 0 }) => [value - error, value + error]);
  return drawChart((size) => ({
    grid: grid(size),
    xAxis: {
      ...{ ...AXIS, type: "value", name: unit, nameLocation: "middle", nameGap: 28 },
      ...evenRange(Math.min(...ends), Math.max(...ends)),
    },
    yAxis: yAxis(size),
    series: [
      {
        ...{
          type: "line",
          silent: true,
          symbol: "circle",
          symbolSize: 8,
          lineStyle: { opacity: 0 },
        },
        ...{ encode: { x: 0, y: 1 }, itemStyle: { color: COLORS.blue } },
        data: rows.map(({ value }, row) => [value, row]),
      },
      errors,
    ],
  }), sizes);
}

/**
 * What charts with a named row for each value share: the rows from below, room for their names, the
 * errors as lines across the values, and the sizes.
 */
function namedRows(bars: Bar[], around: { top: number; bottom: number }) {
  const rows = bars.toReversed();
  const names = rows.map(({ name }) => inEnglish(name));
  // Half an em for a narrow character, capitals take more; and no more than leaves room for the values.
  const longest = Math.min(350, 12 + 7.2 * Math.max(0, ...names.map(displayWidth)));
  // A phone has no room for names beside the values: they stand above them.
  const height = (rowHeight: number) => around.top + around.bottom + rowHeight * rows.length;
  return {
    rows,
    grid: (size: "wide" | "narrow") => ({
      ...{ left: size === "wide" ? 20 + longest : 14, right: 70 },
      ...around,
    }),
    yAxis: (size: "wide" | "narrow") => ({
      ...{ ...AXIS, type: "category", data: names },
      axisTick: { show: false },
      axisLabel: size === "wide"
        ? { color: COLORS.ink, width: longest, overflow: "truncate" }
        : { color: COLORS.ink, width: longest, overflow: "truncate", ...ABOVE_BAR },
    }),
    errors: {
      ...{ type: "custom", renderItem: errorBar, silent: true },
      ...{ encode: { x: [0, 1], y: 2 }, z: 3 },
      data: rows.flatMap(({ value, error }, row) =>
        error === undefined ? [] : [[value - error, value + error, row]]
      ),
    },
    sizes: {
      wide: { width: 720, height: height(28) },
      narrow: { width: 340, height: height(44) },
    },
  };
}

/** A chart of shares has at most this many bars; all smaller shares are one more. */
const MOST_SHARES = 15;

/** Bars of shares that add up to the whole, the largest first. */
export function shareChart(shares: Record<string, number>): Chart {
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const sorted = Object.entries(shares).toSorted(([, a], [, b]) => b - a);
  const others = sorted.slice(MOST_SHARES).reduce((sum, [, share]) => sum + share, 0);
  const shown: [PageText, number][] = sorted.slice(0, MOST_SHARES);
  const rest = sorted.length - MOST_SHARES;
  if (others > 0) shown.push([words(`${rest} others`, `其他 ${rest} 项`), others]);
  return barChart(
    shown.map(([name, share]) => {
      const value = total === 0 ? 0 : 100 * share / total;
      return { name, value, label: `${value.toFixed(1)} %` };
    }),
    "percent",
  );
}

/**
 * Columns side by side for each category, such as the lengths of documents before and after.
 *
 * @param unit what the categories are
 * @param series values by category
 */
export function columnChart(
  categories: string[],
  unit: string,
  series: { name: string; values: number[] }[],
): Chart {
  return drawChart(() => ({
    color: [COLORS.faint, COLORS.blue],
    legend: LEGEND,
    grid: { left: 64, right: 14, top: 36, bottom: 46 },
    xAxis: {
      ...{ ...AXIS, type: "category", data: categories },
      ...{ name: unit, nameLocation: "middle", nameGap: 28 },
    },
    yAxis: { ...AXIS, type: "value", minInterval: 1 },
    series: series.map(({ name, values }) => ({ name, type: "bar", data: values, silent: true })),
  }), { wide: { width: 720, height: 300 }, narrow: { width: 340, height: 260 } });
}

const PERCENT_LABEL = { color: COLORS.soft, formatter: "{value} %" };
const ABOVE_BAR = { inside: true, margin: 0, verticalAlign: "bottom", padding: [0, 0, 9, 2] };

function markLine(axis: "xAxis" | "yAxis", { value, label }: Mark) {
  return {
    ...{ silent: true, symbol: "none", data: [{ [axis]: value }] },
    lineStyle: { type: "dashed", color: COLORS.soft, width: 1.2 },
    label: {
      ...{ formatter: inEnglish(label), color: COLORS.soft },
      ...(axis === "yAxis" && { position: "insideEndTop" }),
    },
  };
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
    style: { stroke: COLORS.ink, lineWidth: 1.4 },
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

/** The height of the lines that ECharts makes of a legend's names in a picture of this width. */
function legendHeight(names: string[], width: number): number {
  let [lines, filled] = [0, Infinity];
  for (const name of names) {
    const needed = LEGEND.itemWidth + 5 + 7 * displayWidth(name) + LEGEND.itemGap;
    if (filled + needed > width) [lines, filled] = [lines + 1, 0];
    filled += needed;
  }
  return LEGEND_LINE * lines;
}

/** Even steps to name on an axis, and the last one. */
function stepTicks(last: number, count: number): number[] {
  const step = Math.max(1, evenStep(last / count));
  const ticks = [];
  // A tick beside the last one would leave no room for its number.
  for (let tick = 0; tick <= last - 0.7 * step; tick += step) ticks.push(tick);
  return [...ticks, last];
}

/** A range of an axis that begins and ends at a tick. */
interface AxisRange {
  min: number;
  max: number;
  interval: number;
}

/** Three times 0.1 is 0.30000000000000004, which the axis would show. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

/** Characters of the longest number on an axis. */
function longestTick({ min, max, interval }: AxisRange): number {
  const count = Math.round((max - min) / interval);
  const ticks = Array.from({ length: count + 1 }, (_, i) => rounded(min + i * interval));
  return Math.max(
    ...ticks.map((tick) => tick.toLocaleString("en", { maximumFractionDigits: 12 }).length),
  );
}

function evenRange(least: number, most: number): AxisRange {
  const interval = evenStep((most - least || Math.abs(most) || 1) / 5.5);
  const [first, last] = [
    Math.floor(rounded(least / interval)),
    Math.ceil(rounded(most / interval)),
  ];
  // Equal values at a tick would leave the axis no length: they get room on both sides.
  const room = first === last ? 1 : 0;
  return {
    min: rounded((first - room) * interval),
    max: rounded((last + room) * interval),
    interval,
  };
}

/** The smallest of 1, 2 and 5 times a power of ten that is at least `step`. */
function evenStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= step * (1 - 1e-9))!;
}
