/// <reference lib="dom" />
/** The script of a site's page: loads the model into the browser and lets the visitor talk with it. */
import { chooseLanguage, say, wordsOf } from "../../data/page/language.js";
import { formatBytes } from "../../kernels/runtime/memory.ts";
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import { loadCheckpoint } from "../inference/load-checkpoint.ts";
import { openBrowserGpu } from "./browser-gpu.ts";
import { elementOf } from "./element.ts";
import { keepOffline } from "./offline.ts";
import { SiteFiles, siteJson } from "./site-files.ts";
import { MANIFEST_FILE, type SiteManifest } from "./site-manifest.ts";
import { ModelSpeaker } from "./speaker.ts";
import { talk } from "./talk.ts";

/** A larger model is fetched only when the visitor asks for it. */
const UNASKED_BYTES = 100e6;

const state = elementOf("state", HTMLElement);
const progress = elementOf("progress", HTMLProgressElement);
const load = elementOf("load", HTMLButtonElement);

chooseLanguage(elementOf("language", HTMLElement));
try {
  const base = new URL("./", document.baseURI);
  const { files: contents, tensorBytes } = await siteJson(MANIFEST_FILE, base) as SiteManifest;
  const gpu = await openBrowserGpu({ tensorBytes });
  const files = await SiteFiles.open(base, contents, `model ${base.pathname}`);
  await askBeforeMuch(await files.missingBytes());
  progress.hidden = false;
  await files.download((done, total) => {
    progress.value = done / total;
    const of = `${formatBytes(done)} / ${formatBytes(total)}`;
    say(state, { en: `Loading the model: ${of}`, zh: `正在加载模型：${of}` });
  });
  progress.removeAttribute("value");
  say(state, { en: "Preparing the model", zh: "正在准备模型" });
  const model = await loadCheckpoint(await Checkpoint.read(files), gpu, { ownsGpu: true });
  // For the console, as in: (await model.nextLogits([[1, 2, 3]]))[0]
  Object.assign(globalThis, { model });
  talk(new ModelSpeaker(model));
  const { name } = gpu.capabilities;
  say(state, {
    en: `The model is in this browser, on ${name}. What you write stays here.`,
    zh: `模型已在此浏览器中运行（${name}），您输入的内容不会离开本机。`,
  });
  await keepOffline();
} catch (error) {
  state.setAttribute("role", "alert");
  say(state, wordsOf(error));
}
progress.hidden = true;

async function askBeforeMuch(bytes: number): Promise<void> {
  if (bytes <= UNASKED_BYTES) return;
  const size = formatBytes(bytes);
  say(state, {
    en: `The model has ${size}. The browser keeps it for the next visit.`,
    zh: `模型大小为 ${size}，浏览器会为下次访问保留。`,
  });
  load.hidden = false;
  await new Promise((resolve) => load.addEventListener("click", resolve, { once: true }));
  load.hidden = true;
}
