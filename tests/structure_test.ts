/** The floor plan: who may import whom, what touches the host, and how full a folder may be. */
import { assertEquals } from "@std/assert";
import { dirname, join, normalize } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

/** The folders of the product, each of which may import those before it. */
const LAYERS = ["kernels", "data", "model", "train", "eval"];

/** Inside `kernels/`: what each folder may import besides itself. Families may import each other. */
const FAMILIES = [
  "attention",
  "decoding",
  "layers",
  "loss",
  "matmul",
  "mixture-of-experts",
  "optimizer",
  "soft-moe",
  "unfused",
];
const KERNEL_FOLDERS: Record<string, readonly string[]> = {
  runtime: [],
  wgsl: ["runtime"],
  host: ["runtime"],
  ranks: ["runtime", "host"],
  sharding: ["runtime", "wgsl", "ranks", "optimizer"],
  ...Object.fromEntries(FAMILIES.map((family) => [family, ["runtime", "wgsl", ...FAMILIES]])),
};

/** What a browser would load, from a checkpoint to a generated token. */
const INFERENCE_PATH = [
  "model/inference/load-checkpoint.ts",
  "model/inference/chat.ts",
  "model/web/chat-page.ts",
  "model/web/service-worker.ts",
];
/** And from a text to a trained model. */
const TRAINING_PATH = [
  "data/token-corpus.ts",
  "train/batches/pretraining-text.ts",
  "train/pretraining-stage.ts",
  "train/run/loop.ts",
  "train/step/held-out-loss.ts",
  "train/web/trainer-page.ts",
];

/** Source files that a folder may hold beside its subfolders. */
const FULL_FOLDER = 20;
/** One file an operator: as many as there are operators. */
const UNBOUNDED = ["data/operators"];

const sources = await readSources();
const imports = new Map(
  [...sources].map(([path, text]) => [path, importsOf(path, text)] as const),
);

Deno.test("no import leads back to where it came from", () => {
  assertEquals(circles(), []);
});

Deno.test("no layer imports one above it, and train and eval not each other", () => {
  const wrong = arrows().filter(([from, to]) => {
    const [above, below] = [layerOf(from), layerOf(to)];
    if (above === below || above === -1) return false;
    return below === -1 || below > above || (isOf("eval", from) && isOf("train", to));
  });
  assertEquals(wrong.map(inWords), []);
});

Deno.test("the runtime knows no operator, and operators know no host", () => {
  const wrong = arrows().filter(([from, to]) => {
    const [folder, target] = [kernelFolder(from), kernelFolder(to)];
    if (folder === undefined || target === undefined || folder === target) return false;
    return !KERNEL_FOLDERS[folder]?.includes(target);
  });
  assertEquals(wrong.map(inWords), []);
});

for (
  const [way, entries] of [
    ["from a checkpoint to a token", INFERENCE_PATH],
    ["from a text to a trained model", TRAINING_PATH],
  ] as const
) {
  Deno.test(`${way}, nothing touches Deno, Node or Dawn`, () => {
    const touching = loadedFrom(entries).filter((path) =>
      /\bDeno\.|"node:|npm:webgpu/.test(sources.get(path)!)
    );
    assertEquals(touching, []);
  });
}

Deno.test("only commands install a driver: a library call never does", () => {
  const wrong = arrows().filter(([from, to]) =>
    to === "kernels/host/vulkan-driver.ts" && !from.endsWith("-command.ts")
  );
  assertEquals(wrong.map(inWords), []);
});

Deno.test("folders can be taken in at a glance, and the README says what belongs in each", () => {
  const readme = Deno.readTextFileSync(join(ROOT, "README.md"));
  const folders = Map.groupBy(
    [...sources.keys()].filter((path) => layerOf(path) !== -1),
    (path) => dirname(path),
  );
  const full = [...folders].filter(([folder, files]) =>
    files.length > FULL_FOLDER && !UNBOUNDED.includes(folder)
  );
  assertEquals(full.map(([folder, { length }]) => `${folder}: ${length} files`), []);
  const unnamed = [...folders.keys()].filter((folder) => !readme.includes(`| \`${folder}\` `));
  assertEquals(unnamed, [], "folders without a row in the README's layout table");
});

Deno.test("no exported name means two things", () => {
  const declared = [...sources].flatMap(([path, text]) => {
    const names = text.matchAll(
      /^export (?:async )?(?:abstract )?(?:function\*?|class|interface|type|const|enum) +(\w+)/gm,
    );
    return [...names].map(([, name]) => ({ name, path }));
  });
  const twice = [...Map.groupBy(declared, ({ name }) => name)].filter(([, places]) =>
    new Set(places.map(({ path }) => path)).size > 1
  );
  const words = twice.map(([name, places]) => `${name}: ${places.map(({ path }) => path)}`);
  assertEquals(words, []);
});

/** Every source file of the product by its path from the root, without comments. */
async function readSources(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const visit = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(join(ROOT, folder))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) await visit(path);
      else if (path.endsWith(".ts")) found.set(path, await readCode(path));
    }
  };
  for (const layer of LAYERS) await visit(layer);
  found.set("mod.ts", await readCode("mod.ts"));
  return found;
}

async function readCode(path: string): Promise<string> {
  const text = await Deno.readTextFile(join(ROOT, path));
  return text.replaceAll(/^\s*(\/\*\*?|\*|\/\/).*$/gm, "").replaceAll(/ \/\/ .*$/gm, "");
}

/** The files that a file imports, exports from, or starts as a worker. */
function importsOf(path: string, text: string): string[] {
  const specifiers = text.matchAll(
    /(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"|new URL\("(\.[^"]+\.ts)"/g,
  );
  return [...specifiers].map(([, imported, worker]) =>
    normalize(join(dirname(path), imported ?? worker))
  );
}

function arrows(): [string, string][] {
  return [...imports].flatMap(([from, all]) =>
    all.filter((to) => to.endsWith(".ts")).map((to): [string, string] => [from, to])
  );
}

function inWords([from, to]: readonly string[]): string {
  return `${from} imports ${to}`;
}

function layerOf(path: string): number {
  return LAYERS.indexOf(path.split("/")[0]);
}

function isOf(layer: string, path: string): boolean {
  return path.startsWith(`${layer}/`);
}

function kernelFolder(path: string): string | undefined {
  const [layer, folder, ...rest] = path.split("/");
  return layer === "kernels" && rest.length > 0 ? folder : undefined;
}

/** Each circle once, as the way around it. */
function circles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: string[]): void => {
    const start = way.indexOf(path);
    if (start !== -1) found.push([...way.slice(start), path].join(" -> "));
    if (start !== -1 || done.has(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return found;
}

/** What is loaded where these files are: types alone are not. */
function loadedFrom(entries: readonly string[]): string[] {
  const found = new Set(entries);
  for (const path of found) {
    const code = sources.get(path)?.replaceAll(/^(?:import|export) type [^;]*;/gm, "") ?? "";
    for (const next of importsOf(path, code)) found.add(next);
  }
  return [...found].filter((path) => sources.has(path));
}
