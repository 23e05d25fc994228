/// <reference lib="dom" />
import { type Gpu, openAdapter } from "../../kernels/runtime/device.ts";
import { formatBytes } from "../../kernels/runtime/memory.ts";
import { PageError } from "./page-error.ts";

/** What a page computes, beyond what every WebGPU has room for. */
export interface PageNeeds {
  /** Most tensors that a kernel binds. */
  readonly storageBuffers?: number;
  /** Bytes of the largest tensor. */
  readonly tensorBytes?: number;
}

/**
 * Opens the GPU of a browser.
 *
 * @throws PageError saying what to do, if the browser gives none or one that is too small
 */
export async function openBrowserGpu(
  { storageBuffers = 0, tensorBytes = 0 }: PageNeeds,
): Promise<Gpu> {
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
  const { maxStorageBuffersPerShaderStage: buffers, maxBufferSize } = adapter.limits;
  if (buffers < storageBuffers) {
    throw tooSmall(
      `a kernel binds ${storageBuffers} tensors, the GPU allows ${buffers}`,
      `一个内核要绑定 ${storageBuffers} 个张量，而 GPU 只允许 ${buffers} 个`,
    );
  }
  if (maxBufferSize < tensorBytes) {
    const [needed, given] = [tensorBytes, maxBufferSize].map(formatBytes);
    throw tooSmall(
      `its largest tensor has ${needed}, a buffer of the GPU at most ${given}`,
      `最大的张量有 ${needed}，而 GPU 的缓冲区最多 ${given}`,
    );
  }
  return await openAdapter(adapter);
}

function tooSmall(en: string, zh: string): PageError {
  return new PageError({
    en: `This browser's GPU is too small for the model: ${en}. Open this page on another device.`,
    zh: `此浏览器的 GPU 不足以运行模型：${zh}。请换一台设备打开本页。`,
  });
}
