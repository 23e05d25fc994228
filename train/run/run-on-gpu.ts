import { type Implementation, openGpu } from "../../kernels/host/open-gpu.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { isMixed, type Precision } from "../../model/network/precision.ts";
import type { RunOptions } from "./run-options.ts";

/** The settings of the device and of the precision. */
interface DeviceSettings {
  readonly train: { readonly gpu: Implementation; readonly precision: Precision };
}

/**
 * Opens the device of a run, and closes it again unless `run` returns a model, which needs it.
 *
 * @param options `gpu` is a device to use instead, which is not closed; `ranks` share the run
 * @param run is called with the settings, in which the precision `auto` is resolved for the device
 * @throws UserError if there is no such device, or if it has no f16 and the settings ask for it
 */
export async function runOnGpu<S extends DeviceSettings>(
  settings: S,
  { gpu: given, ranks }: Pick<RunOptions, "gpu" | "ranks">,
  run: (gpu: Gpu, settings: S) => Promise<LanguageModel | undefined>,
): Promise<LanguageModel | undefined> {
  const gpu = given ?? await openGpu(settings.train.gpu, {
    hostWrites: ranks !== undefined && ranks.size > 1,
  });
  let model: LanguageModel | undefined;
  try {
    const precision = isMixed(settings.train.precision, gpu.capabilities) ? "mixed" : "f32";
    model = await run(gpu, { ...settings, train: { ...settings.train, precision } });
    return model;
  } finally {
    if (!model && !given) gpu.close();
  }
}
