import { parseArgs } from "@std/cli/parse-args";
import { UserError } from "../kernels/runtime/user-error.ts";
import { filesOf } from "./files/input-files.ts";
import { wholeNumber } from "./whole-number.ts";

export const HELP =
  `Prepares text for training: cleans, deduplicates, tokenizes and packs documents into shards.
A shard is a file of token ids that deno task pretrain reads. A command that was stopped goes on
when it is given again.

Usage:
  deno task data prepare  --settings FILE.yaml --output DIR [options]
  deno task data clean    --recipe NAME --input FILE... --output FILE.jsonl [options]
  deno task data dedup    --input FILE... --output FILE.jsonl [options]
  deno task data tokenize --input FILE... --output DIR [options]
  deno task data inspect  PATH... [--adopt [--sequence N]]
  deno task data report   REPORT.json...

Examples:
  deno task data clean --recipe steel-zh --input sky/*.jsonl.gz --output clean.jsonl
  deno task data tokenize --input clean.jsonl --output shards
  deno task pretrain --data.source=shards --data.vocabulary=0 --run.dir=runs/mine

Commands:
  prepare                  clean, mix, tokenize and pack several sources, as FILE.yaml describes
  clean                    apply a recipe of filters and mappers to documents
  dedup                    drop documents that are near-duplicates of earlier ones, over all files;
                           documents of fewer than six tokens (characters by default) are all kept
  tokenize                 turn documents into shards
  inspect                  show what files of documents or folders of shards hold
  report                   write the page of a report of clean, dedup or prepare again, beside its
                           JSON file

Input and output:
  --input FILE...          files (.jsonl, .txt, .parquet, also .gz or .zst) or folders of such files
  --output PATH            clean and dedup: the file to write; prepare and tokenize: the folder to
                           write
  --settings FILE.yaml     prepare: the sources, with recipe and weight of each

Options of prepare, clean, dedup and tokenize, with defaults in brackets:
  --workers N              number of threads [one for each CPU core]
  --strict                 stop at the first record that cannot be read, instead of counting it
  --help                   show this text

Options of clean and dedup:
  --corpus NAME            the corpus of the paper that the files are from [known by its fields]
  --as-published           make the texts exactly as the authors' scripts did, mistakes included

Options of clean:
  --recipe NAME            steel-text, steel-code, steel-zh, or a recipe of Data-Juicer as FILE.yaml
  --decontaminate DIR...   drop documents that contain a question of these benchmarks (CSV files)
  --stats FILE.jsonl       write the statistics of every document, also of dropped ones
  --trace FILE.jsonl       write samples of what each mapper changed and each filter dropped
  --traced N               number of samples for each operator [10]
  --tokenizer PATH         a tokenizer.json, or a model's folder, for filters that count tokens
  --sentencepiece FILE     a SentencePiece model, for filters that count its pieces and for
                           --perplexity-model
  --perplexity-model FILE  a KenLM model (.arpa) that measures perplexity as Data-Juicer does; needs
                           --sentencepiece; documents are kept by the recipe's threshold or by
                           --percentile
  --perplexity-reference FILE...
                           good text; perplexity is measured by a character model made from it
  --percentile N           keep the N percent of documents with the lowest perplexity
                           [30 with --perplexity-reference]

Options of dedup:
  --exact                  drop equal documents only
  --tokenization NAME      units of comparison: character, space or punctuation [character]

Options of prepare and tokenize:
  --tokenizer PATH         a tokenizer.json, or a model's folder [that of Qwen1.5]
  --format NAME            format of the shards: steel, or litpkds (that of the authors) [steel]
  --sequence N             sequence length, in tokens [2048]
  --blocks-per-shard N     sequences in one shard [204800]

Options of inspect:
  --adopt                  write a manifest for shards that have none, such as the authors'
  --sequence N             with --adopt: sequence length of these shards, in tokens [2048]`;

const STRINGS = [
  ...["settings", "output", "recipe", "stats", "trace", "corpus", "tokenization", "tokenizer"],
  ...["perplexity-model", "sentencepiece", "format"],
];
const NUMBERS = ["percentile", "traced", "sequence", "blocks-per-shard", "workers"];
const BOOLEANS = ["adopt", "as-published", "exact", "strict"];
const LISTS = ["input", "decontaminate", "perplexity-reference"];

const CLEANING = ["input", "output", "corpus", "as-published", "workers", "strict"];
const PACKING = [
  ...["output", "tokenizer", "format", "sequence", "blocks-per-shard"],
  ...["workers", "strict"],
];

/** The options of each command. */
const OPTIONS = {
  prepare: ["settings", ...PACKING],
  clean: [
    ...[...CLEANING, "recipe", "stats", "trace", "traced", "tokenizer", "sentencepiece"],
    ...["perplexity-model", "perplexity-reference", "percentile", "decontaminate"],
  ],
  dedup: [...CLEANING, "exact", "tokenization"],
  tokenize: ["input", ...PACKING],
  inspect: ["adopt", "sequence"],
  report: [],
} satisfies Record<string, string[]>;

export type Command = keyof typeof OPTIONS;

/** The commands that take paths without an option's name. */
const TAKING_PATHS: Command[] = ["inspect", "report"];

/** A command line, checked against what its command takes. */
export interface Flags {
  command: Command;
  paths: string[];
  options: Record<string, unknown>;
}

/**
 * @throws UserError for no command, for what belongs to another command or to none, and for what
 * would change nothing
 */
export function readFlags(args: string[]): Flags {
  const { _, ...options } = parseArgs(spreadLists(args), {
    string: [...STRINGS, ...NUMBERS, ...LISTS],
    boolean: BOOLEANS,
    collect: LISTS,
    unknown: (name: string, key?: string) => {
      if (key !== undefined) throw new UserError(`Unknown argument ${name}; see --help`);
      return true;
    },
  });
  const [command, ...paths] = _.map(String);
  if (command === undefined) {
    throw new UserError("Say what to do, as in deno task data inspect FILE; see --help");
  }
  if (!isCommand(command)) throw new UserError(`There is no command "${command}"; see --help`);
  const taken: string[] = OPTIONS[command];
  const other = Object.keys(options).find((name) =>
    isGiven(options[name]) && !taken.includes(name)
  );
  if (other !== undefined) throw new UserError(`${command} takes no --${other}; see --help`);
  if (paths.length > 0 && !TAKING_PATHS.includes(command)) {
    throw new UserError(`${command} does not know what to do with ${paths[0]}; see --help`);
  }
  refuseIdle(command, args, (name) => isGiven(options[name]));
  return { command, paths, options };
}

/** Refuses options that would change nothing as they are given. */
function refuseIdle(command: Command, args: string[], given: (name: string) => boolean): void {
  const empty = LISTS.find((name) => args.includes(`--${name}`) && !given(name));
  if (empty !== undefined) throw new UserError(`--${empty} needs a value`);
  if (given("traced") && !given("trace")) {
    throw new UserError("--traced N needs --trace FILE.jsonl: it sets how many samples that gets");
  }
  if (given("exact") && given("tokenization")) {
    throw new UserError(
      "--exact compares whole documents, --tokenization their parts: give one of them",
    );
  }
  if (command === "inspect" && given("sequence") && !given("adopt")) {
    throw new UserError("--sequence N needs --adopt: it describes the shards that --adopt reads");
  }
}

function isCommand(name: string): name is Command {
  return Object.hasOwn(OPTIONS, name);
}

/** What was not given is undefined, false or an empty list. */
function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
}

/** `--input a b` as `--input a --input b`. */
function spreadLists(args: string[]): string[] {
  let list = "";
  return args.flatMap((arg) => {
    if (arg.startsWith("--")) {
      list = LISTS.find((name) => arg === `--${name}`) ?? "";
      return list === "" ? [arg] : [];
    }
    return list === "" ? [arg] : [`--${list}`, arg];
  });
}

export function textOption({ options }: Flags, name: string): string | undefined {
  const value = options[name];
  if (value === "") throw new UserError(`--${name} needs a value`);
  return value as string | undefined;
}

export function requiredOption(flags: Flags, name: string): string {
  const value = textOption(flags, name);
  if (value === undefined) throw new UserError(`--${name} is needed; see --help`);
  return value;
}

export function numberOption(flags: Flags, name: string): number | undefined {
  const value = textOption(flags, name);
  return value === undefined ? undefined : wholeNumber(name, value);
}

/** The files of `--input`, from which `output` is made. */
export async function inputFiles({ options }: Flags, output: string): Promise<string[]> {
  const paths = options.input as string[];
  if (paths.length === 0) throw new UserError("--input is needed; see --help");
  return await filesOf(paths, output);
}
