import { pageHtml } from "../../model/web/page-html.ts";
import { bothHtml, type Words } from "../../data/page/words.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";

/** A number that a visitor may change, by the section and key of its setting. */
interface TrainerField {
  readonly section: "data" | "train";
  readonly key: string;
  readonly label: Words;
  /** The smallest value. */
  readonly least: number;
  /** Between two values; whole numbers when left out. */
  readonly step?: number;
  readonly most?: number;
}

/** The settings that a visitor may change. */
export const TRAINER_FIELDS: readonly TrainerField[] = [
  { section: "train", key: "steps", least: 1, label: { en: "steps", zh: "步数" } },
  {
    ...{ section: "train", key: "learningRate", least: 0, step: 1e-5 },
    label: { en: "learning rate", zh: "学习率" },
  },
  {
    ...{ section: "train", key: "microBatch", least: 1 },
    label: { en: "sequences a step", zh: "每步序列数" },
  },
  {
    ...{ section: "data", key: "sequence", least: 2, most: 2048 },
    label: { en: "tokens a sequence", zh: "序列长度（词元）" },
  },
  {
    ...{ section: "data", key: "vocabulary", least: 1 },
    label: { en: "most frequent tokens to keep", zh: "保留的常用词元数" },
  },
  {
    ...{ section: "data", key: "heldOut", least: 0.01, most: 0.5, step: 0.01 },
    label: { en: "share held out to validate", zh: "留作验证的比例" },
  },
];

/** The page of a site on which a visitor trains a model. */
export function trainerHtml(title: string, settings: PretrainSettings): string {
  const fields = TRAINER_FIELDS.map(({ section, key, label, least, most = "", step = 1 }) => {
    const value = (settings[section] as Record<string, unknown>)[key];
    return `<label>${bothHtml(label)}<input type="number" name="${section}.${key}" ` +
      `value="${value}" min="${least}" max="${most}" step="${step}" required></label>`;
  });
  const both = (en: string, zh: string) => bothHtml({ en, zh });
  return pageHtml({
    title,
    about: {
      en: "Train a small Steel-LLM from random weights in this browser, on its own GPU. The text " +
        "and the model stay here until you download them.",
      zh:
        "在此浏览器中、用本机 GPU 从随机权重训练一个小的 Steel-LLM。文字与模型都留在本机，直到您下载。",
    },
    links: { "index.html": { en: "Talk with the model", zh: "与模型对话" } },
    body: `<form id="trainer">
<div class="modes">
<label><input type="radio" name="text" value="embedded" checked> ${
      both("Poems and English, as by default", "默认的诗词与英文")
    }</label>
<label><input type="radio" name="text" value="pasted"> ${
      both("A text of your own", "自己的文字")
    }</label>
</div>
<textarea name="pasted" rows="6" hidden aria-label="Text / 文字"></textarea>
<details open><summary>${both("Settings", "设置")}</summary>
<div class="fields">${fields.join("\n")}</div></details>
<p class="buttons">
<button type="submit" id="start" disabled>${both("Train", "开始训练")}</button>
<button type="button" id="stop" disabled>${both("Stop", "停止")}</button>
<button type="button" id="download" disabled>${
      both("Download the checkpoint (zip)", "下载检查点（zip）")
    }</button>
</p>
</form>
<p><output id="step"></output></p>
<div id="curve"></div>
<div id="samples"></div>`,
    script: "trainer.js",
  });
}
