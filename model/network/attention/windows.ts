import { count } from "../../number-range.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { SharedSizes } from "../layer.ts";

/** A layer's sliding window in tokens, or undefined where a token attends to all before it. */
export type Window = number | undefined;

/**
 * The window of every layer, as Mistral's configs have it: `sliding_window`, null for none.
 *
 * @throws UserError for a wrong value
 */
export function readWindow(read: ConfigReader, { maxPositions }: SharedSizes): Window {
  if (read.value("sliding_window") === undefined) return undefined;
  const window = read.count("sliding_window");
  return window < maxPositions ? window : undefined;
}

/**
 * The window of each layer, as Qwen's configs have it: with `use_sliding_window`, those layers have
 * one that `layer_types` names or, without that list, all from `max_window_layers` on.
 *
 * @throws UserError for a wrong value
 */
export function readLayerWindows(read: ConfigReader, sizes: SharedSizes, layers: number): Window[] {
  const maySlide = read.choice("use_sliding_window", [true, false], false);
  const first = maySlide ? read.number("max_window_layers", count, 28) : layers;
  const slides = readLayerTypes(read, layers, maySlide) ??
    Array.from({ length: layers }, (_, layer) => layer >= first);
  const window = slides.includes(true) ? readWindow(read, sizes) : undefined;
  return slides.map((slides) => slides ? window : undefined);
}

/** Of each layer whether it has a window, if the file says so. */
function readLayerTypes(
  read: ConfigReader,
  layers: number,
  maySlide: boolean,
): boolean[] | undefined {
  const types = read.value("layer_types");
  if (types === undefined) return undefined;
  const known = maySlide ? ["full_attention", "sliding_attention"] : ["full_attention"];
  if (!Array.isArray(types) || !types.every((type) => known.includes(type))) {
    read.refuse(
      "layer_types",
      known.map((type) => `"${type}"`).join(" or ") + " for every layer" +
        (maySlide ? "" : ", as use_sliding_window is not true"),
    );
  }
  if (types.length !== layers) {
    read.refuse("layer_types", `one entry for each of the ${layers} layers`);
  }
  return types.map((type) => type === "sliding_attention");
}
