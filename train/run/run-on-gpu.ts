import { type Implementation, openGpu } from "../../kernels/host/open-gpu.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { isMixed, type Precision } from "../../model/network/precision.ts";

/** What decides where a run computes, and in which arithmetic. */
interface DeviceSettings {
  readonly train: { readonly gpu: Implementation; readonly precision: Precision };
}

/**
 * Opens the device of a run, and closes it again unless `run` returns a model that lives there.
 *
 * @param run is given the settings with what `auto` means on this device as their precision
 * @throws UserError if there is no such device, or if it lacks f16 that the settings ask for
 */
export async function runOnGpu<S extends DeviceSettings>(
  settings: S,
  run: (gpu: Gpu, settings: S) => Promise<LanguageModel | undefined>,
): Promise<LanguageModel | undefined> {
  const gpu = await openGpu(settings.train.gpu);
  try {
    const precision = isMixed(settings.train.precision, gpu.capabilities) ? "mixed" : "f32";
    const model = await run(gpu, { ...settings, train: { ...settings.train, precision } });
    if (!model) gpu.close();
    return model;
  } catch (error) {
    gpu.close();
    throw error;
  }
}
