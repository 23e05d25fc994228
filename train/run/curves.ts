import { LineChart } from "echarts/charts";
import {
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
} from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([
  GridComponent,
  LegendComponent,
  LineChart,
  MarkLineComponent,
  SVGRenderer,
  TitleComponent,
]);

/** A step and a value measured at it. */
export type Point = [step: number, value: number];

export interface Curve {
  name: string;
  points: Point[];
  color: string;
  /** Many points, drawn as a thin line without dots. */
  dense: boolean;
}

export interface CurveChart {
  title: string;
  /** Name of the values, with their unit. */
  axis: string;
  curves: Curve[];
  /** A value to draw a dashed line at. */
  mark?: { value: number; label: string };
}

/** Draws values over the steps of a run. Returns an SVG file that needs no other file. */
export function drawCurves({ title, axis, curves, mark }: CurveChart): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 800, height: 450 });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    color: curves.map(({ color }) => color),
    textStyle: { fontFamily: "system-ui, sans-serif" },
    title: { text: title, left: "center", top: 10, textStyle: { fontSize: 16 } },
    legend: { top: 40, itemGap: 24 },
    grid: { left: 70, right: 40, top: 80, bottom: 55 },
    xAxis: { type: "value", name: "step", nameLocation: "middle", nameGap: 30, max: "dataMax" },
    yAxis: {
      type: "value",
      name: axis,
      nameLocation: "middle",
      nameGap: 45,
      nameRotate: 90,
      scale: true,
      ...(mark && {
        max: ({ max }: { max: number }) => Math.ceil(Math.max(max, mark.value)),
      }),
    },
    series: curves.map(({ name, points, dense }, index) => ({
      name,
      type: "line",
      data: points,
      ...(dense
        ? { symbol: "none", sampling: "lttb", lineStyle: { width: 1 } }
        : { symbolSize: 5, lineStyle: { width: 2 } }),
      ...(mark && index === curves.length - 1 && {
        markLine: {
          silent: true,
          symbol: "none",
          data: [{ yAxis: mark.value }],
          lineStyle: { type: "dashed", color: "#666666" },
          label: { position: "insideEndTop", color: "#666666", formatter: mark.label },
        },
      }),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
