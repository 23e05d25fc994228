/** Trains, loads and generates in turn for a time. Arguments: a folder, seconds. Prints a line a turn. */
import { loadModel, pretrain } from "../../mod.ts";
import { tinySettings } from "../train/tiny-run.ts";
import { removeFolder } from "./tree.ts";

const [work, seconds] = Deno.args;
const { gc } = globalThis as unknown as { gc: () => void };
const end = performance.now() + 1000 * Number(seconds);
await Deno.mkdir(work, { recursive: true });
Deno.chdir(work);
while (performance.now() < end) {
  const settings = await tinySettings(work, "--train.steps=4", "--train.gpu=deno");
  (await pretrain(settings))!.close();
  const model = await loadModel(`${work}/run`, { gpu: "deno", precision: "f32" });
  for await (const _ of model.generate("steel is", { maxTokens: 8, seed: 1 }));
  model.close();
  await removeFolder(`${work}/run`);
  gc();
  const { rss: resident, heapUsed: heap } = Deno.memoryUsage();
  const files = [...Deno.readDirSync("/proc/self/fd")].length;
  console.log(JSON.stringify({ resident, heap, files }));
}
