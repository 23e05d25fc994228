import { currentFolder, writeFolderAtomically } from "../../../data/files/atomic-folder.ts";
import { exists } from "../../../data/files/exists.ts";
import { Lock } from "../../../data/files/lock.ts";
import type { Words } from "../../../data/page/words.ts";
import { UserError } from "../../../kernels/runtime/user-error.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { configFiles } from "../../checkpoint/config-files.ts";
import { SafetensorsEncoder } from "../../checkpoint/safetensors-encoder.ts";
import { SINGLE_FILE } from "../../checkpoint/weight-files.ts";
import { modelTokenizer } from "../../inference/load-checkpoint.ts";
import { Parameters } from "../../network/parameters.ts";
import { parameterShapes } from "../../network/parameter-shapes.ts";
import { pageHtml } from "../../web/page-html.ts";
import type { SiteContents, SitePiece } from "../../web/site-manifest.ts";
import { talkHtml } from "../../web/talk.ts";
import { storedContents } from "../export-model.ts";
import { cardHtml, type ModelCard, readModelCard } from "./model-card.ts";
import { type OpenModel, openModel } from "../open-model.ts";
import { SiteWriter } from "./site-writer.ts";

/** The largest number of f16. */
const LARGEST_F16 = 65504;

/** How a site is written. */
export interface SiteOptions {
  /** The heading of its pages; the run's name when left out. */
  readonly title?: string;
  /** Folder of an adapter for the checkpoint. */
  readonly adapter?: string;
  /** Adds pages of its own. Returns links to them, by address. */
  readonly addPages?: (site: SiteWriter, title: string) => Promise<Record<string, Words>>;
}

/**
 * Writes a checkpoint as a site that any static host serves: a page that computes the model in its
 * visitor's browser. Weights are in f16, with an adapter folded in; a pruned
 * vocabulary stays pruned.
 *
 * @param dir folder of a checkpoint or of an adapter, or of a training run for its newest one
 * @param output a folder that does not exist yet
 * @throws UserError if `output` exists or is being written by another process, the disk is full,
 *   the bundler cannot be had, or something is wrong with `dir`
 */
export async function exportSite(
  dir: string,
  output: string,
  { title: given, adapter, addPages }: SiteOptions = {},
): Promise<void> {
  await using _ = await Lock.beside(output);
  if (await exists(await currentFolder(output))) {
    throw new UserError(`${output}: this exists already; choose another folder or remove it`);
  }
  using model = await openModel(dir, adapter);
  const card = await readModelCard(dir);
  const title = given ?? card.name;
  await writeFolderAtomically(output, async (folder) => {
    const site = new SiteWriter(folder);
    const links = await addPages?.(site, title) ?? {};
    await site.script("page.js", new URL("../../web/chat-page.ts", import.meta.url));
    await site.page("index.html", indexHtml(title, links, card, model.checkpoint));
    const tensors = new Parameters(model.checkpoint.config).tensors;
    const tensorBytes = Math.max(...tensors.map(({ storage }) => storage.bytes));
    await site.finish(await writeModel(site, model), tensorBytes);
  });
}

function indexHtml(
  title: string,
  links: Record<string, Words>,
  card: ModelCard,
  { config }: Checkpoint,
): string {
  return pageHtml({
    title,
    about: {
      en: "A language model that computes in this browser, on its own GPU.",
      zh: "在此浏览器中、用本机 GPU 运行的语言模型。",
    },
    links,
    body: `<p><button type="button" id="load" hidden>Load / 加载</button></p>
${talkHtml(card.isFineTuned ? "chat" : "complete", card.isFineTuned ? "" : "春日\n")}
${cardHtml(card, config)}`,
    script: "page.js",
  });
}

async function writeModel(site: SiteWriter, model: OpenModel): Promise<SiteContents> {
  const { dir } = model.checkpoint;
  const { config, files = {}, tensors } = await storedContents(model);
  if (!await modelTokenizer(model)) {
    throw new UserError(`${dir}: there is no tokenizer, without which nobody can talk`);
  }
  const written: Record<string, SitePiece[]> = {};
  for (const [name, text] of Object.entries({ ...configFiles(config, "F16"), ...files })) {
    written[name] = await site.pieces(name, text);
  }
  const entries = parameterShapes(config).map((each) => ({ ...each, dtype: "F16" as const }));
  const bytes = new SafetensorsEncoder(entries).bytes(async (name) => {
    const values = await tensors(name);
    if (values.every((value) => Math.abs(value) <= LARGEST_F16)) return values;
    throw new UserError(
      `${dir}: "${name}" has values above ${LARGEST_F16}, which f16 cannot hold: this ` +
        `model cannot be made a site`,
    );
  });
  return { ...written, [SINGLE_FILE]: await site.pieces(SINGLE_FILE, bytes) };
}
