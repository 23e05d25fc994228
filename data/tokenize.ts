import { UserError } from "../kernels/runtime/user-error.ts";
import { fileIdentity } from "./files/file-identity.ts";
import { drawDocuments } from "./tokenizing/mixture.ts";
import { Lock } from "./files/lock.ts";
import { refuseOverwriting } from "./files/overwriting.ts";
import { FileProgress, fileStatus } from "./progress/file-progress.ts";
import type { OnProgress, Progress } from "./progress/progress.ts";
import { DEFAULT_READING } from "./readers/documents.ts";
import { addProblems, firstProblems, noProblems, type ProblemReport } from "./readers/problems.ts";
import type { Manifest } from "./shards/manifest.ts";
import type { ShardFormat } from "./shards/shard-file.ts";
import {
  checkShardSize,
  earlierShards,
  PAPER_BLOCKS_PER_SHARD,
  ShardWriter,
} from "./shards/shard-writer.ts";
import {
  type DocumentEncoder,
  loadDocumentEncoder,
  type TokenizeSetup,
  tokenizingWork,
} from "./tokenizing/tokenize-job.ts";
import { type TokenizedFile, tokenizeFile } from "./tokenizing/tokenize-file.ts";
import { tokenizerPaths } from "./tokenizer/load-tokenizer-files.ts";
import { TokenStream } from "./tokenizing/token-stream.ts";
import { WORK_FOLDER, WorkFolder } from "./files/work-folder.ts";
import { Threads } from "./threads.ts";

/** A part of the mixture. */
export interface TokenizeSource {
  /** Its name in the manifest. */
  name: string;
  /** Files of documents. */
  files: string[];
  /** Its share, relative to the weights of the others; if no source has one, all is taken. */
  weight?: number;
}

/** What to tokenize, and how to pack it. */
export interface TokenizeSettings {
  /** The parts of the mixture. */
  sources: TokenizeSource[];
  /** The folder for the shards. */
  output: string;
  /** The path of a `tokenizer.json` or of a model's folder; Qwen1.5's if undefined. */
  tokenizer?: string;
  /** The format of the shards; `steel` if undefined. */
  format?: ShardFormat;
  /** Tokens of a sequence, 2048 if undefined; a block has one more. */
  sequence?: number;
  /** Blocks of a full shard; the paper's 204,800 if undefined. */
  blocksPerShard?: number;
  /** Number of threads, the calling one among them; 1 if undefined. */
  workers?: number;
  /** Whether the first record that cannot be read ends the run, instead of being counted. */
  strict?: boolean;
  /** Called as files are tokenized and documents are packed. */
  onProgress?: OnProgress;
  /** Called with a line of text for people, such as that a finished part was damaged. */
  onMessage?: (text: string) => void;
}

/** The result of tokenizing; JSON. */
export interface TokenizeReport {
  /** What the shards hold. */
  manifest: Manifest;
  /** Tokens that the mixture did not use, by source. */
  leftOver: Record<string, number>;
  /** Records and files that could not be read, or are odd but kept. */
  problems: ProblemReport;
  /** How long it took. */
  seconds: number;
}

/**
 * Turns the documents of files into tokens, mixes the sources by weight and packs them into shards.
 * After a kill, the same call goes on where it was and ends with the same shards. Shards of an
 * earlier run stay until there are documents to replace them.
 *
 * @throws UserError for wrong weights, a file that cannot be read or written, or a folder that
 *   holds an input or other files under the names that it would use, or that another process writes;
 *   there is no new manifest then
 */
export async function tokenize(settings: TokenizeSettings): Promise<TokenizeReport> {
  await using _ = await Lock.ofFolder(settings.output);
  return await tokenizeInto(settings);
}

/** The same for a caller that has locked the output. */
export async function tokenizeInto(settings: TokenizeSettings): Promise<TokenizeReport> {
  const { sources, output, strict = false } = settings;
  const shape = shardShape(settings);
  const { onProgress = () => {} } = settings;
  const started = performance.now();
  const encoder = await loadDocumentEncoder(settings.tokenizer);
  const inputs = sources.flatMap(({ files }) => files);
  const ofTokenizer = settings.tokenizer === undefined ? [] : tokenizerPaths(settings.tokenizer);
  const identities = await Promise.all([...inputs, ...ofTokenizer].map(fileIdentity));
  const task = { edition: EDITION, identities, tokenizer: settings.tokenizer, strict };
  const workPath = `${output}/${WORK_FOLDER}`;
  const earlier = await earlierShards(output);
  await refuseOverwriting(inputs, [workPath, ...earlier]);
  const work = await WorkFolder.open(workPath, task);

  const tokenized = await tokenizeSources(settings, encoder, work);
  const problems = noProblems();
  for (const file of tokenized.flat()) addProblems(problems, file.problems);
  if (tokenized.flat().every(({ documents }) => documents === 0)) {
    await work.remove();
    throw new UserError(`there is no document to tokenize\n${firstProblems(problems)}`.trim());
  }
  await using writer = new ShardWriter(output, {
    ...shape,
    tokenizer: settings.tokenizer ?? "Qwen1.5",
    endToken: encoder.endToken,
    paddingToken: encoder.paddingToken,
  });
  const streams = tokenized.map((files) => new TokenStream(files, work));
  const mixture = sources.map(({ name, weight }, i) => ({
    name,
    weight,
    tokens: streams[i].tokens,
    lengths: streams[i].lengths(),
  }));
  const total = 4 * streams.reduce((sum, { tokens }) => sum + tokens, 0);
  const packed: Progress = { task: "packing", done: 0, total, unit: "bytes", status: "" };
  let documents = 0;
  const order = drawDocuments(mixture);
  for (const path of earlier) await Deno.remove(path);
  try {
    for (const source of order) {
      const tokens = streams[source].next();
      await writer.add(tokens, sources[source].name);
      packed.done += tokens.byteLength;
      packed.status = fileStatus(output, ++documents);
      onProgress({ ...packed });
    }
  } finally {
    streams.forEach((stream) => stream.close());
  }
  const manifest = await writer.finish();
  await work.remove();
  const used = new Map(Object.entries(manifest.sources));
  return {
    manifest,
    leftOver: Object.fromEntries(
      mixture.map(({ name, tokens }) => [name, tokens - (used.get(name)?.tokens ?? 0)]),
    ),
    problems,
    seconds: (performance.now() - started) / 1000,
  };
}

/** How shards are to be packed. @throws UserError if padding would fill them without end */
export function shardShape(
  { format = "steel", sequence = 2048, blocksPerShard = PAPER_BLOCKS_PER_SHARD }: Pick<
    TokenizeSettings,
    "format" | "sequence" | "blocksPerShard"
  >,
) {
  const shape = { format, blockLength: sequence + 1, blocksPerShard };
  checkShardSize(shape);
  return shape;
}

/** To be raised when the same files give other tokens, or when work files change. */
const EDITION = 3;

async function tokenizeSources(
  settings: TokenizeSettings,
  encoder: DocumentEncoder,
  work: WorkFolder,
): Promise<TokenizedFile[][]> {
  const { sources, tokenizer, workers = 1, strict = false } = settings;
  const { onProgress = () => {}, onMessage = () => {} } = settings;
  const setup: TokenizeSetup = { tokenizer, reading: DEFAULT_READING };
  const module = new URL("./tokenizing/tokenize-worker.ts", import.meta.url);
  const threads = new Threads(tokenizingWork(encoder, setup.reading), workers, module, setup);
  const paths = sources.flatMap(({ files }) => files);
  const progress = await FileProgress.over("tokenizing", paths, onProgress);
  const tokenized: TokenizedFile[][] = [];
  let number = 0;
  try {
    for (const { files } of sources) {
      const own: TokenizedFile[] = [];
      for (const file of files) {
        const report = progress.report.bind(progress);
        const name = `${++number}`;
        const result = await tokenizeFile(file, name, threads, work, strict, report, onMessage);
        own.push(result);
        progress.finish(result.documents);
      }
      tokenized.push(own);
    }
  } finally {
    threads.close();
  }
  return tokenized;
}
