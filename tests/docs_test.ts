/** What the pages tell people to follow, run and type is there. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Folders that commands write, and those of tools. */
const NOT_OURS = new Set(["runs", "cache", "node_modules"]);

/** Options on the pages that are other programs' own. */
const OTHER_PROGRAMS =
  /^(--allow-\w+|--bind-to|--nodes|--ntasks-per-node|--gpus-per-task|--mpi|--shm-size|--signal|--num_fewshot|--local-dir)$/;

interface Page {
  /** Path from the repository's root. */
  path: string;
  text: string;
}

/** What `--help` of every task prints; nothing for `deno task test`. */
const helps = await helpOfTasks();

const pages = await Promise.all(
  (await markdownFiles(ROOT)).map(async (path): Promise<Page> => ({
    path: relative(ROOT, path),
    text: await Deno.readTextFile(path),
  })),
);

async function markdownFiles(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const files = await Promise.all(entries.map(({ name, isDirectory }) => {
    if (name.startsWith(".") || NOT_OURS.has(name)) return [];
    const path = join(folder, name);
    return isDirectory ? markdownFiles(path) : name.endsWith(".md") ? [path] : [];
  }));
  return files.flat();
}

/** Blocks of code, each as lines of which one that ends in \ is joined with the next. */
function codeLines({ text }: Page): string[] {
  const blocks = [...text.matchAll(/^```.*?\n(.*?)^```|((?:^ {4}.*\n)+)/gms)];
  return blocks.flatMap(([block]) => block.replaceAll(/\\\n */g, "").split("\n"));
}

/** Pieces of code within sentences. */
function codeSpans({ text }: Page): string[] {
  const outside = text.replaceAll(/^```.*?^```/gms, "").replaceAll(/^ {4}.*$/gm, "");
  return [...outside.matchAll(/`([^`]+)`/g)].map(([, code]) => code.replaceAll(/\s+/g, " "));
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

Deno.test("every link from page to page, to a heading or a picture leads somewhere", () => {
  const broken = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link)
      .filter((link) => !/^\w+:/.test(link) && !resolves(path, text, link))
      .map((link) => `${path}: ${link}`)
  );
  assertEquals(broken, []);
});

function resolves(path: string, text: string, link: string): boolean {
  const [file, anchor] = link.split("#");
  const target = file === "" ? path : join(dirname(path), file);
  if (!existsInRepository(target)) return false;
  if (anchor === undefined) return true;
  const page = file === "" ? text : pages.find((page) => page.path === target)?.text;
  return page !== undefined && anchors(page).has(decodeURIComponent(anchor));
}

Deno.test("every source file that a page names by its folder is there", () => {
  const missing = pages.flatMap((page) =>
    codeSpans(page)
      .filter((code) => /^[\w.-]+(\/[\w.-]+)+\.(ts|yaml)$/.test(code))
      .filter((code) => ![code, join(dirname(page.path), code)].some(existsInRepository))
      .map((code) => `${page.path}: ${code}`)
  );
  assertEquals(missing, []);
});

function existsInRepository(path: string): boolean {
  try {
    return Deno.statSync(join(ROOT, path)) !== undefined;
  } catch {
    return false;
  }
}

Deno.test("every task that a page names exists, and takes the options that stand behind it", () => {
  const options = new Set(Array.from(helps.values(), optionsIn).flat());
  const settings = new Set(Array.from(options, (option) => option.slice(2)));
  const wrong: string[] = [];
  for (const page of pages) {
    const refuse = (code: string, name: string) => wrong.push(`${page.path}: ${name} in ${code}`);
    for (const code of [...codeLines(page), ...codeSpans(page)]) {
      const task = /\bdeno(?:@[\d.]+)? task ([a-z][\w:]*)/.exec(code)?.[1];
      if (task !== undefined && !helps.has(task)) refuse(code, task);
      const help = task === undefined ? undefined : helps.get(task);
      const taken = help === undefined ? options : new Set(optionsIn(help));
      for (const option of optionsIn(code)) {
        if (!taken.has(option) && !OTHER_PROGRAMS.test(option)) refuse(code, option);
      }
    }
    for (const code of codeSpans(page)) {
      const isSetting = /^(model|data|train|run|sample|loss)\.(?!(ts|yaml|svg)$)\w+$/.test(code);
      if (isSetting && !settings.has(code)) refuse(code, code);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("every --help says what the task does, with usage and an example, in 100 columns", () => {
  for (const [task, help] of helps) {
    if (help === "") continue;
    assertMatch(help, /^[A-Z][^\n]+[.:,\w]\n/, task);
    assertMatch(help, new RegExp(`\nUsage:\n  deno task ${task}\\b`), task);
    assertMatch(help, new RegExp(`\nExamples?:\n  deno task ${task}\\b`), task);
    assertEquals(help.split("\n").filter((line) => line.length > 100), [], task);
  }
});

function optionsIn(text: string): string[] {
  return [...text.matchAll(/(?<![\w-])--[a-zA-Z][\w.-]*/g)].map(([option]) => option);
}

async function helpOfTasks(): Promise<Map<string, string>> {
  const { tasks }: { tasks: Record<string, { command: string }> } = JSON.parse(
    await Deno.readTextFile(join(ROOT, "deno.json")),
  );
  const helps = Object.entries(tasks).map(async ([task, { command }]) => {
    if (!command.startsWith("deno run ")) return [task, ""] as const;
    const args = [...command.split(" ").slice(1), "--help"];
    const output = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
    assert(output.success, `deno task ${task} --help`);
    return [task, new TextDecoder().decode(output.stdout)] as const;
  });
  return new Map(await Promise.all(helps));
}
