import type { Implementation } from "../../kernels/host/open-gpu.ts";
import { NO_INSTALL, NO_INSTALL_MEANING } from "../../kernels/host/command-arguments.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Precision } from "../network/precision.ts";

/** The section of a help text about the device. */
export const DEVICE_HELP = `\
Device:
  --gpu NAME               WebGPU implementation: auto, dawn or deno; auto takes dawn on a GPU with
                           tensor cores, else deno [auto]
  --precision NAME         number format: auto, f32 or mixed; auto takes mixed on a GPU with f16,
                           else f32 [auto]
  ${NO_INSTALL.padEnd(25)}${NO_INSTALL_MEANING}`;

/** The names of these arguments. */
export const DEVICE_FLAGS = ["gpu", "precision"];

/** The device and the precision that the arguments choose. @throws UserError for other values */
export function deviceOptions(
  { gpu = "auto", precision = "auto" }: { gpu?: string; precision?: string },
): { gpu: Implementation; precision: Precision } {
  if (gpu !== "auto" && gpu !== "dawn" && gpu !== "deno") {
    throw new UserError(`--gpu=${gpu}: expected auto, dawn or deno`);
  }
  if (precision !== "auto" && precision !== "f32" && precision !== "mixed") {
    throw new UserError(`--precision=${precision}: expected auto, f32 or mixed`);
  }
  return { gpu, precision };
}
