/// <reference lib="dom" />
import { type Gpu, openAdapter } from "../../kernels/runtime/device.ts";
import { PageError } from "./words.ts";

/** What kernels need of a device, by WebGPU's names. All but the second are WebGPU's defaults. */
const NEEDED = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 10,
  maxComputeWorkgroupStorageSize: 16384,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
} as const;

/**
 * Opens the GPU of a browser.
 *
 * @throws PageError saying what to do, if the browser gives none or one that is too small
 */
export async function openBrowserGpu(): Promise<Gpu> {
  if (!isSecureContext) {
    throw new PageError({
      en: "Browsers give WebGPU only to pages that came by https, or from this machine " +
        "(http://localhost): open this page by https.",
      zh: "浏览器只向 https 页面（或本机 http://localhost）提供 WebGPU：请用 https 打开本页。",
    });
  }
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new PageError({
      en: "This browser has no WebGPU, on which the model computes. Open this page in a current " +
        "Chrome, Edge, Safari or Firefox; if yours is current, look whether its settings or this " +
        "machine's graphics driver switch WebGPU off.",
      zh: "此浏览器没有 WebGPU，模型无法运行。请使用新版 Chrome、Edge、Safari 或 Firefox；" +
        "若已是新版，请检查浏览器设置或显卡驱动是否禁用了 WebGPU。",
    });
  }
  const lacking = Object.entries(NEEDED).flatMap(([name, needed]) => {
    const has = adapter.limits[name as keyof typeof NEEDED];
    return has < needed ? [`${name} ${has} < ${needed}`] : [];
  });
  if (lacking.length === 0) return await openAdapter(adapter);
  throw new PageError({
    en: `This device's GPU is too small for the model (${lacking.join("; ")}): open this page on ` +
      `another device.`,
    zh: `此设备的 GPU 不足以运行模型（${lacking.join("；")}）：请换一台设备打开本页。`,
  });
}
