/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The script of a site's trainer: pretrains a model in the browser. */
import { chooseLanguage, say, wordsOf } from "../../data/page/language.js";
import { lossChart } from "../../data/page/loss-chart.ts";
import { words } from "../../data/page/words.ts";
import { tokenizeCorpus } from "../../data/token-corpus.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { formatBytes } from "../../kernels/runtime/memory.ts";
import { pointsOf } from "../../data/page/charts.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";
import { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { openBrowserGpu } from "../../model/web/browser-gpu.ts";
import { elementOf } from "../../model/web/element.ts";
import { keepOffline } from "../../model/web/offline.ts";
import { SiteFiles, siteJson } from "../../model/web/site-files.ts";
import { PageError } from "../../model/web/page-error.ts";
import type { CorpusSource } from "../batches/pretraining-text.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";
import { checkpointZip } from "./checkpoint-zip.ts";
import { type TabRun, trainInTab } from "./train-in-tab.ts";
import {
  type DocumentList,
  DOCUMENTS_FILE,
  documentsOfText,
  listedIngredients,
  TRAINER_FILE,
  type TrainerManifest,
} from "./trainer-files.ts";
import { TRAINER_FIELDS } from "./trainer-html.ts";

/** Most tensors that a kernel of training binds: the backward pass of a Soft MoE. */
const STORAGE_BUFFERS = 10;

/** Milliseconds between two samples, and between two drawings of the curve. */
const SAMPLE_EVERY = 5000;
const DRAW_EVERY = 1000;

const state = elementOf("state", HTMLElement);
const form = elementOf("trainer", HTMLFormElement);
const start = elementOf("start", HTMLButtonElement);
const stop = elementOf("stop", HTMLButtonElement);
const download = elementOf("download", HTMLButtonElement);
const pasted = form.elements.namedItem("pasted") as HTMLTextAreaElement;

/** What the page has loaded. */
interface Workshop {
  readonly gpu: Gpu;
  readonly settings: PretrainSettings;
  readonly qwen: Tokenizer;
  readonly embedded: readonly DocumentList[];
}

chooseLanguage(elementOf("language", HTMLElement));
form.addEventListener("change", () => pasted.hidden = !isPasted());
try {
  const workshop = await openWorkshop();
  say(state, {
    en: `Ready, on ${workshop.gpu.capabilities.name}.`,
    zh: `已就绪（${workshop.gpu.capabilities.name}）。`,
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    trainOnce(workshop).catch(fail).finally(() => {
      [start.disabled, stop.disabled] = [false, true];
    });
  });
  start.disabled = false;
  await keepOffline();
} catch (error) {
  fail(error);
}

async function openWorkshop(): Promise<Workshop> {
  const gpu = await openBrowserGpu({ storageBuffers: STORAGE_BUFFERS });
  const base = new URL("./", document.baseURI);
  const { settings, files: contents } = await siteJson(TRAINER_FILE, base) as TrainerManifest;
  const files = await SiteFiles.open(base, contents, `trainer ${base.pathname}`);
  const progress = elementOf("progress", HTMLProgressElement);
  progress.hidden = false;
  await files.download((done, total) => {
    progress.value = done / total;
    const of = `${formatBytes(done)} / ${formatBytes(total)}`;
    say(state, { en: `Loading tokenizer and poems: ${of}`, zh: `正在加载分词器与诗词：${of}` });
  });
  progress.hidden = true;
  const qwen = (await Tokenizer.read(files))!;
  return { gpu, settings, qwen, embedded: JSON.parse((await files.text(DOCUMENTS_FILE))!) };
}

/** The run before, whose model takes memory until the next one begins. */
let lastRun: TabRun | undefined;

async function trainOnce(workshop: Workshop): Promise<void> {
  lastRun?.model.close();
  lastRun = undefined;
  [start.disabled, stop.disabled, download.disabled] = [true, false, true];
  state.removeAttribute("role");
  say(state, { en: "Tokenizing the text", zh: "正在分词" });
  for (const id of ["step", "curve", "samples"]) elementOf(id, HTMLElement).replaceChildren();
  const settings = settingsOf(workshop.settings);
  const stopping = new AbortController();
  stop.onclick = () => stopping.abort();
  const curve = new Curve();
  let sampled = performance.now();
  let running: TabRun | undefined;
  const run = await trainInTab(workshop.gpu, settings, sourceOf(workshop, settings), {
    signal: stopping.signal,
    onStage: (run, unigramEntropy) => {
      curve.unigramEntropy = unigramEntropy;
      running = run;
      say(state, { en: "Preparing the kernels", zh: "正在准备计算内核" });
    },
    onStep: ({ step, steps, loss, tokensPerSecond }) => {
      const speed = Math.round(tokensPerSecond).toLocaleString("en");
      say(state, { en: "Training", zh: "正在训练" });
      say(elementOf("step", HTMLElement), {
        en: `step ${step} of ${steps}, loss ${loss.toFixed(4)}, ${speed} tokens/s`,
        zh: `第 ${step}/${steps} 步，损失 ${loss.toFixed(4)}，每秒 ${speed} 个词元`,
      });
    },
    onMetrics: async (metrics) => {
      curve.add(metrics);
      if (performance.now() - sampled < SAMPLE_EVERY) return;
      await sample(running!, settings);
      sampled = performance.now();
    },
  });
  lastRun = run;
  // For the console, as on the page where the model is talked with.
  Object.assign(globalThis, { model: run.model });
  if (curve.metrics.length > 0) {
    await sample(run, settings);
    curve.draw();
    download.disabled = false;
  }
  download.onclick = () => save(run, curve.metrics, settings).catch(fail);
  say(state, {
    en: stopping.signal.aborted ? "Stopped." : "Trained.",
    zh: stopping.signal.aborted ? "已停止。" : "训练完成。",
  });
}

/** The loss so far. */
class Curve {
  readonly metrics: StepMetrics[] = [];
  unigramEntropy?: number;
  #drawn = 0;

  /** Adds a step, and draws the curve now and then. */
  add(metrics: StepMetrics): void {
    this.metrics.push(metrics);
    if (performance.now() - this.#drawn > DRAW_EVERY) this.draw();
  }

  draw(): void {
    const { wide, narrow } = lossChart({
      training: pointsOf(this.metrics, "loss"),
      validation: pointsOf(this.metrics, "validationLoss"),
      unit: words("loss (nats a token)", "损失（nat/词元）"),
      unigramEntropy: this.unigramEntropy,
    });
    elementOf("curve", HTMLElement).innerHTML = `<figure><div class="wide">${wide}</div>` +
      `<div class="narrow">${narrow}</div></figure>`;
    this.#drawn = performance.now();
  }
}

/** Lets the model write, and shows the newest texts. */
async function sample({ model }: TabRun, { sample }: PretrainSettings): Promise<void> {
  const { prompts, tokens, ...sampling } = sample;
  const written = await model.generateMany(prompts, { ...sampling, maxTokens: tokens });
  elementOf("samples", HTMLElement).replaceChildren(...prompts.map((prompt, index) => {
    const quote = document.createElement("blockquote");
    quote.textContent = prompt + written[index].text;
    return quote;
  }));
}

async function save(
  run: TabRun,
  metrics: readonly StepMetrics[],
  settings: PretrainSettings,
): Promise<void> {
  const name = `steel-step-${metrics.length}`;
  const zip = await checkpointZip(run, name, {
    "metrics.jsonl": metrics.map((line) => JSON.stringify(line) + "\n").join(""),
    "settings.json": JSON.stringify(settings, null, 2) + "\n",
  });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([zip], { type: "application/zip" }));
  link.download = `${name}.zip`;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function isPasted(): boolean {
  return new FormData(form).get("text") === "pasted";
}

/** The settings with what the visitor changed; a text of their own is taken whole. */
function settingsOf(given: PretrainSettings): PretrainSettings {
  const settings = structuredClone(given);
  const values = new FormData(form);
  for (const { section, key } of TRAINER_FIELDS) {
    Object.assign(settings[section], { [key]: Number(values.get(`${section}.${key}`)) });
  }
  if (isPasted()) settings.data.tokens = 0;
  return settings;
}

function sourceOf({ qwen, embedded }: Workshop, { data }: PretrainSettings): CorpusSource {
  const lists = isPasted() ? [documentsOfText(pasted.value)] : embedded;
  if (lists.every(({ documents }) => documents.length === 0)) {
    throw new PageError({ en: "There is no text: paste one.", zh: "没有文字：请先粘贴。" });
  }
  return {
    qwen,
    tokenize: (tokenizer) =>
      tokenizeCorpus(listedIngredients(lists), {
        tokenizer,
        endToken: tokenizer.endOfDocument,
        tokens: data.tokens === 0 ? Infinity : data.tokens,
        heldOut: data.heldOut,
      }),
    // The page does not go on with a run of before, so that no position is compared.
    digest: () => "",
  };
}

function fail(error: unknown): void {
  state.setAttribute("role", "alert");
  say(state, wordsOf(error));
}
