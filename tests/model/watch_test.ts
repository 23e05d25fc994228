/** The page about running runs, and TensorBoard's files, against what a run leaves. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { listen } from "../../kernels/host/listen.ts";
import { keepMessage } from "../../model/runs/run-messages.ts";
import { RunWatch } from "../../model/runs/run-watch.ts";
import { EventFile } from "../../train/run/event-file.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

/** Shows runs while a test changes them. */
async function watching(
  folders: string[],
  test: (get: (path: string) => Promise<string>) => Promise<void>,
) {
  const watch = new RunWatch(folders);
  const where = { hostname: "127.0.0.1", port: 0 };
  const { address, close } = listen((request) => watch.handle(request), where);
  try {
    await test(async (path) => await (await fetch(`${address}/${path}`)).text());
  } finally {
    await close();
  }
}

/** The page as its English reader sees it. */
function inEnglish(html: string): string {
  return html.replaceAll(/<span lang="zh">.*?<\/span>/gs, "")
    .replaceAll(/<span lang="en">(.*?)<\/span>/gs, "$1");
}

async function measure(run: string, first: number, last: number, loss = 5): Promise<void> {
  await Deno.mkdir(run, { recursive: true });
  const lines = Array.from({ length: last - first + 1 }, (_, i) => {
    const step = first + i;
    return JSON.stringify({
      ...{ step, loss: loss + 1 / step, learningRate: 1e-3, tokensPerSecond: 100, seconds: 2 },
      ...{ gradientNorm: 1, shareOfPeak: 0.41, ...step === 20 && { validationLoss: 5.25 } },
    });
  });
  const append = first > 1;
  await Deno.writeTextFile(`${run}/metrics.jsonl`, lines.join("\n") + "\n", { append });
}

Deno.test("a run is shown as it grows, ends, begins anew and is deleted", () =>
  inTemporaryFolder(async (dir) => {
    const run = `${dir}/poems`;
    await Deno.mkdir(run);
    await watching([run], async (get) => {
      assertMatch(await get(""), /no run has measured anything yet/);
      await measure(run, 1, 25);
      await Deno.writeTextFile(`${run}/settings.yaml`, "train:\n  steps: 30\n");
      await Deno.writeTextFile(`${run}/facts.json`, '{"memoryBytes": 64000000}');
      keepMessage(run, "step 7: a gradient overflowed; <b>skipped</b>");
      const first = await get("version");
      const page = await get("");
      assertMatch(page, /<dt>.*<span lang="zh">验证损失<\/span><\/dt><dd>5\.250/);
      assertMatch(page, /<text xml:lang="zh"[^>]*>每步</);
      const shown = { "step": "25 of 30", "time left": "10s", "GPU memory": "64.0 MB" };
      for (
        const [label, value] of Object.entries({
          ...shown,
          ...{ "now": "running", "loss": "5.040", "validation loss": "5.250" },
          ...{ "share of peak": "41.0 %", "learning rate": "1.00e-3", "gradient norm": "1.00" },
        })
      ) {
        const figure = `<dt>${label}</dt><dd>${value}</dd>`;
        assert(inEnglish(page).includes(figure), `${label}: ${value}`);
      }
      assert(page.includes("&lt;b&gt;skipped"), "messages are shown as they are");

      await measure(run, 26, 30);
      assert(await get("version") !== first);
      assertMatch(inEnglish(await get("")), /<dt>now<\/dt><dd>finished/);

      await measure(run, 1, 3, 7); // begun anew
      assertMatch(inEnglish(await get("")), /<dd>3 of 30.*<dt>loss<\/dt><dd>7\.333/s);

      await Deno.writeTextFile(`${run}/facts.json`, "{ half");
      await measure(run, 4, 4, 7);
      assertMatch(await get(""), /facts\.json.*What was seen last is shown/);
      await Deno.remove(run, { recursive: true });
      assertMatch(await get(""), /there is no such folder.*What was seen last is shown/);
      assertMatch(inEnglish(await get("")), /<dd>3 of 30/);
      await measure(run, 1, 2);
      assertMatch(inEnglish(await get("")), /<dt>step<\/dt><dd>2</);
    });
  }));

Deno.test("several runs have one axis, and the page asks for nothing of other hosts", () =>
  inTemporaryFolder(async (dir) => {
    await measure(`${dir}/a`, 1, 30);
    await measure(`${dir}/b`, 1, 10, 4);
    await watching([`${dir}/a`, `${dir}/b`], async (get) => {
      const page = await get("");
      assertMatch(page, /Loss, nats a token, means over steps: a 5\.033; b 4\.100/);
      assertMatch(page, /Learning rate: a 0\.001 .*; b 0\.001/);
      const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
      assertEquals(links, ["data:,", "watch.js"]);
    });
  }));

/** CRC-32C bit by bit, as its definition has it. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const low = (crc ^ byte >> bit) & 1;
      crc = crc >>> 1 ^ (low ? 0x82f63b78 : 0);
    }
  }
  return ~crc >>> 0;
}

Deno.test("TensorBoard's files hold what was measured, with the checksums of TFRecords", () =>
  inTemporaryFolder(async (dir) => {
    assertEquals(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
    {
      using file = await EventFile.open(dir, 300);
      file.append({ step: 301, loss: 2.5 });
    }
    const [{ name }] = await Array.fromAsync(Deno.readDir(`${dir}/tensorboard`));
    assertMatch(name, /^events\.out\.tfevents\.\d+/);
    const bytes = await Deno.readFile(`${dir}/tensorboard/${name}`);
    const view = new DataView(bytes.buffer);
    const events: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = Number(view.getBigUint64(at, true));
      const masked = (part: Uint8Array) => {
        const crc = crc32c(part);
        return ((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0;
      };
      const event = bytes.subarray(at + 12, at + 12 + length);
      assertEquals(view.getUint32(at + 8, true), masked(bytes.subarray(at, at + 8)));
      assertEquals(view.getUint32(at + 12 + length, true), masked(event));
      events.push(event.subarray(9)); // without the time, a field of a byte and a double
      at += 16 + length;
    }
    assertEquals(events.map((event) => Array.from(event)), [
      [0x1a, 13, ...new TextEncoder().encode("brain.Event:2")],
      [0x10, 0xad, 0x02, 0x3a, 2, 0x08, 1], // step 301 begins
      [
        ...[0x10, 0xad, 0x02, 0x2a, 13, 0x0a, 11, 0x0a, 4, ...new TextEncoder().encode("loss")],
        ...[0x15, ...new Uint8Array(Float32Array.of(2.5).buffer)],
      ],
    ]);
  }));
