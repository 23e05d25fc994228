/** A model and a trainer as a site, in Chromium: the same numbers as in Deno. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { unzipSync } from "fflate";
import { listen } from "../../kernels/host/listen.ts";
import { exportSite } from "../../model/host/site/export-site.ts";
import { storedContents } from "../../model/host/export-model.ts";
import { Chat } from "../../model/inference/chat.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { openModel } from "../../model/host/open-model.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import { ModelServer } from "../../model/serving/model-server.ts";
import { pretrain } from "../../train/pretrain.ts";
import { addTrainer } from "../../train/web/add-trainer.ts";
import { writePruned } from "../model/pruned-model.ts";
import { openTestGpu } from "../open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { type BrowserPage, Chromium, PATIENCE, StaticHost } from "./browser.ts";

const PROMPT = "静夜思\n唐·李白\n";
const SAID = "床前明月光";
/** The settings that are typed into the page. */
const TALK = { temperature: 1.2, topP: 0.9, maxTokens: 12, seed: 5 };
const GREEDY = { temperature: 0, maxTokens: 64, stopIds: [] };
/** Sums are rounded otherwise by another driver; the largest logit has about 10. */
const LOGIT_ERROR = 1e-5;
/** Rounding grows over a hundred steps. */
const LOSS_ERROR = 1e-4;

/** What the page's console has: the model. */
declare const model: Awaited<ReturnType<typeof loadModel>>;

Deno.test("a site in Chromium computes what Deno computes", (test) =>
  inTemporaryFolder(async (dir) => {
    await using chromium = await Chromium.start(`${dir}/profile`);
    await writePruned(`${dir}/model`, false, {
      ...{ hidden_size: 32, intermediate_size: 32, num_hidden_layers: 2 },
      ...{ num_attention_heads: 4, n_experts: 3, max_position_embeddings: 160 },
    });
    await Deno.writeTextFile(`${dir}/model/metrics.jsonl`, METRICS);
    await Deno.writeTextFile(`${dir}/model/facts.json`, FACTS);
    const documents = Array.from({ length: 80 }, (_, number) => poem(number));
    const lines = documents.map((text) => JSON.stringify({ text }) + "\n");
    await Deno.writeTextFile(`${dir}/text.jsonl`, lines.join(""));
    const settings = {
      ...TRAINER,
      data: { ...TRAINER.data, source: [`${dir}/text.jsonl`], cacheDir: `${dir}/cache` },
    };
    await exportSite(`${dir}/model`, `${dir}/site`, {
      title: "小钢",
      addPages: (site, title) => addTrainer(site, title, settings),
    });
    await test.step("the model talks, and without a network", () => talk(chromium, dir));
    await test.step("a server's page chats too, in the visitor's language", () =>
      chatWithServer(chromium, `${dir}/model`));
    await test.step("the trainer takes the same steps", () =>
      trainInPage(chromium, dir, documents, { ...settings, run: { dir: `${dir}/run` } }));
  }));

/** Logits, greedy tokens and conversations; then all of it again without a host. */
async function talk(chromium: Chromium, dir: string): Promise<void> {
  const expected = await inDeno(`${dir}/model`, `${dir}/f16`);
  assert(new Set(expected.ids).size > 8, "greedy text repeats itself: a poor test");

  const watched = await chromium.open();
  const { page } = watched;
  {
    await using host = new StaticHost(`${dir}/site`);
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(host.origin);
    const computed = await inPage(page);
    assertNear(computed.logits, expected.logits, LOGIT_ERROR);
    assertEquals(computed.ids, expected.ids);

    assertEquals(await converse(page), expected.answers);
    for (const width of [1280, 390]) {
      await page.setViewport({ width, height: 844 });
      assertEquals(await widthBeyond(page), 0);
    }
    assertMatch(
      await page.evaluate<string>("card.textContent"),
      /3\.250(?!.*home).*poems.*75\.0 %/s,
    );
    watched.assertClean(host.origin);
    await page.evaluate("navigator.serviceWorker.ready.then(() => {})");
    assertMatch(await withoutGpu(chromium, host.origin), /no WebGPU.*没有 WebGPU/s);
  }
  // The host is gone.
  await page.bringToFront();
  await page.reload();
  assertEquals((await inPage(page)).ids, expected.ids);
  await page.click("a[href='trainer.html']");
  await page.waitForFunction(`document.getElementById("trainer") !== null`, PATIENCE);
  await page.close();
}

/** One question to a server, by a visitor who reads Chinese. */
async function chatWithServer(chromium: Chromium, dir: string): Promise<void> {
  const gpu = await openTestGpu("deno");
  const model = await loadModel(dir, { gpu });
  const expected = await joined(new Chat(model, TALK).say(SAID));
  const server = await ModelServer.open(model, {
    ...{ name: "小钢", room: { texts: 1, capacity: 128 }, queue: 4, timeout: 60 },
  });
  const { address, close } = listen((request) => server.handle(request), {
    ...{ hostname: "127.0.0.1", port: 0 },
  });
  const watched = await chromium.open();
  const { page } = watched;
  await page.evaluateOnNewDocument(() =>
    Object.defineProperty(navigator, "language", { value: "zh-CN" })
  );
  await page.goto(address);
  await page.waitForFunction(`!document.getElementById("send").disabled`, PATIENCE);
  assertEquals(await page.evaluate("send.innerText"), "发送");
  await setFields(page, TALK);
  await page.type("[name=text]", SAID);
  await page.keyboard.press("Enter");
  await page.waitForFunction(`!document.getElementById("send").disabled`, PATIENCE);
  assertEquals(await page.evaluate(`document.querySelector(".model").textContent`), expected);
  await page.click("#language");
  assertEquals(await page.evaluate("send.innerText"), "Send");
  watched.assertClean(address);
  await page.close();
  await Promise.all([close(), server.close()]);
  model.close();
  gpu.close();
}

/** A hundred steps on pasted text; the checkpoint is downloaded and read. */
async function trainInPage(
  chromium: Chromium,
  dir: string,
  documents: readonly string[],
  settings: Parameters<typeof pretrain>[0],
): Promise<void> {
  await using host = new StaticHost(`${dir}/site`);
  const watched = await chromium.open();
  const { page } = watched;
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(`${host.origin}trainer.html`);
  await page.waitForFunction(`!document.getElementById("start").disabled`, PATIENCE);
  await page.click("[value=pasted]");
  await page.evaluate(`document.querySelector("[name=pasted]").value =
    ${JSON.stringify(documents.join("\n\n"))}`);
  await page.evaluate(`document.querySelector("[name='train.steps']").value = 100`);
  await page.click("#start");
  await page.waitForFunction(`!document.getElementById("download").disabled`, PATIENCE);
  await page.setViewport({ width: 390, height: 844 });
  assertEquals(await widthBeyond(page), 0);
  const written = await page.evaluate<string>(`model.generateMany([${JSON.stringify(SAID)}],
    ${JSON.stringify(GREEDY)}).then(([{ text }]) => text)`);
  const unpacked = await downloaded(page, dir);
  watched.assertClean(host.origin);

  const gpu = await openTestGpu("deno");
  const reloaded = await loadModel(unpacked, { gpu });
  assertEquals((await reloaded.generateMany([SAID], GREEDY))[0].text, written);
  reloaded.close();
  (await pretrain(settings, { gpu }))!.close();
  gpu.close();
  const [inPage, inDeno] = [unpacked, `${dir}/run`].map((folder) =>
    readMetrics(`${folder}/metrics.jsonl`).map(({ loss }) => loss)
  );
  assertEquals(inPage.length, 100);
  assertNear(inPage, inDeno, LOSS_ERROR);
  assert(inPage[99] < inPage[0] - 1, `the loss goes from ${inPage[0]} to ${inPage[99]}`);
}

/** Pixels by which a page is wider than its window: it would have to be moved sideways. */
async function widthBeyond(page: BrowserPage): Promise<number> {
  return await page.evaluate(
    "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth",
  );
}

/** What the page says where the browser has no WebGPU. */
async function withoutGpu(chromium: Chromium, address: string): Promise<string> {
  const { page } = await chromium.open();
  await page.evaluateOnNewDocument(() => Object.defineProperty(navigator, "gpu", {}));
  await page.goto(address);
  await page.waitForFunction(`document.getElementById("state").role === "alert"`, PATIENCE);
  const said = await page.evaluate<string>("state.textContent");
  await page.close();
  return said;
}

/** What Deno computes with the weights in f16. */
async function inDeno(dir: string, rounded: string) {
  using stored = await openModel(dir);
  await writeCheckpoint(rounded, { ...await storedContents(stored), dtype: "F16" });
  const gpu = await openTestGpu("deno");
  const model = await loadModel(rounded, { gpu });
  const [logits] = await model.nextLogits([model.tokenizer.encode(PROMPT)]);
  const generated = await Array.fromAsync(model.generate(PROMPT, GREEDY));
  const chat = new Chat(model, TALK);
  const answers = [
    await joined(chat.say(SAID)),
    await joined(chat.say(SAID)),
    SAID + (await model.generateMany([SAID], TALK))[0].text,
  ];
  model.close();
  gpu.close();
  return { logits: [...logits], ids: generated.map(({ id }) => id), answers };
}

/** The same in the page, once its model is loaded. */
async function inPage(page: BrowserPage): Promise<{ logits: number[]; ids: number[] }> {
  await page.waitForFunction(`!document.getElementById("send").disabled`, PATIENCE);
  return await page.evaluate(`(async () => {
    const prompt = ${JSON.stringify(PROMPT)};
    const [logits] = await model.nextLogits([model.tokenizer.encode(prompt)]);
    const ids = [];
    for await (const { id } of model.generate(prompt, ${JSON.stringify(GREEDY)})) ids.push(id);
    return { logits: [...logits], ids };
  })()`);
}

async function setFields(page: BrowserPage, values: Record<string, number>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    await page.evaluate(`document.querySelector("[name=${name}]").value = ${value}`);
  }
}

/** Chats twice, begins anew, and lets a text be continued. Returns what the model wrote. */
async function converse(page: BrowserPage): Promise<string[]> {
  const answers = async (count: number) => {
    const turns = `[...document.querySelectorAll("#transcript .model")]`;
    const isDone = `!document.getElementById("send").disabled && ${turns}.length === ${count}`;
    await page.waitForFunction(isDone, PATIENCE);
    return await page.evaluate<string[]>(`${turns}.map(({ textContent }) => textContent)`);
  };
  await setFields(page, TALK);
  await page.click("[value=chat]");
  for (const count of [1, 2]) {
    await page.type("[name=text]", SAID);
    await page.keyboard.press("Enter");
    await answers(count);
  }
  assertEquals(await page.$eval("#transcript .user", (turn) => turn.textContent), SAID);
  const said = await answers(2);
  await page.click("#reset");
  await page.click("[value=complete]");
  await page.evaluate(`document.querySelector("[name=text]").value = ""`);
  await page.type("[name=text]", SAID);
  await page.click("#send");
  const texts = [...said, ...await answers(1)];
  assertMatch(await page.evaluate<string>("speed.textContent"), /\d+ tokens, [\d.]+ tokens\/s/);
  return texts;
}

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  return (await Array.fromAsync(pieces)).join("");
}

function assertNear(actual: number[], expected: number[], tolerance: number): void {
  assertEquals(actual.length, expected.length);
  const errors = actual.map((value, i) => Math.abs(value - expected[i]));
  assert(Math.max(...errors) <= tolerance, `off by ${Math.max(...errors)}`);
}

/** What a run leaves of itself, which the model's card shows. */
const METRICS = `{"step":1,"loss":4}\n{"step":2,"loss":3.5,"validationLoss":3.25}\n`;
const FACTS = `{"tokensBySource":{"/home/me/poems":3,"news":1}}`;

/** A small model that learns quickly. */
const TRAINER = {
  model: {
    ...{ hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 2 },
    ...{ intermediate_size: 32, n_experts: 2, mlp_div_ratio: 1, max_position_embeddings: 256 },
  },
  data: { tokens: 0, heldOut: 0.2, sequence: 32, vocabulary: 128 },
  train: { steps: 100, microBatch: 2, warmupSteps: 5, learningRate: 5e-3, validationBlocks: 2 },
  sample: { prompts: ["春"], tokens: 4 },
};

function poem(number: number): string {
  const words = "春江潮水连海平，海上明月共潮生。滟滟随波千万里，何处春江无月明。";
  return Array.from({ length: 24 }, (_, i) => words[(number * 5 + i + (i * i) % 3) % words.length])
    .join("");
}

/** Clicks on the download, and unpacks it. Returns the folder of the checkpoint. */
async function downloaded(page: BrowserPage, dir: string): Promise<string> {
  const session = await page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: dir });
  await page.click("#download");
  const zip = `${dir}/steel-step-100.zip`;
  for (let tries = 0; tries < 600 && !await Deno.stat(zip).catch(() => undefined); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (const [path, bytes] of Object.entries(unzipSync(await Deno.readFile(zip)))) {
    await Deno.mkdir(`${dir}/${path.split("/")[0]}`, { recursive: true });
    if (!path.endsWith("/")) await Deno.writeFile(`${dir}/${path}`, bytes);
  }
  return `${dir}/steel-step-100`;
}
