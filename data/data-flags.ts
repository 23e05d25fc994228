import { parseArgs } from "@std/cli/parse-args";
import { UserError } from "../kernels/runtime/user-error.ts";
import { filesOf } from "./files/input-files.ts";
import { wholeNumber } from "./whole-number.ts";

export const HELP = `deno task data COMMAND [options]

  prepare   --settings FILE.yaml --output DIR
            published files into shards: read, clean, mix, tokenize, pack
  clean     --recipe NAME|FILE.yaml --input FILE… --output FILE.jsonl
            Data-Juicer's recipes as they are; steel-text, steel-code and steel-zh come along
  dedup     --input FILE… --output FILE.jsonl
            drop documents like earlier ones, over all files; those of fewer than six tokens,
            such as characters, all stay
  tokenize  --input FILE… --output DIR
            documents into shards
  inspect   FILE|DIR… [--adopt [--sequence N]]
            what a file of documents or a folder of shards holds; --adopt writes a manifest
            for shards that came without, such as the authors'
  report    FILE.report.json
            a report again, as a page beside it

clean and dedup
  --corpus NAME           which of the paper's corpora, if the records do not show it
  --as-published          texts as the authors' scripts made them, slips included
clean
  --stats FILE.jsonl      statistics of every document, dropped ones too
  --trace FILE.jsonl      samples that each mapper changed and each filter dropped
  --traced N              how many of each [10]
  --tokenizer FILE        a tokenizer.json, for filters that count tokens
  --sentencepiece FILE.model
                          for filters that count its pieces, and for a model of pieces:
  --perplexity-model FILE.arpa
                          a KenLM model, by which documents are measured as Data-Juicer
                          does; the recipe's threshold holds, or --percentile
  --perplexity-reference FILE…
                          good text, by a model of which documents are measured instead
  --percentile N          how many percent of them to keep by it [30]
  --decontaminate DIR…    drop documents that hold a question of these benchmarks (CSV files)
dedup
  --exact                 equal documents only
  --tokenization WHAT     character, space or punctuation [character]
prepare and tokenize
  --tokenizer FILE        a tokenizer.json [Qwen1.5's]
  --format steel|litpkds  of the shards [steel]
  --sequence N            tokens of a sequence [2048]
  --blocks-per-shard N    [204800]
prepare, clean, dedup and tokenize
  --workers N             threads [all cores]
  --strict                refuse whatever cannot be read, instead of counting it`;

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

/** The commands that are told what to look at without an option's name. */
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
      if (key !== undefined) throw new UserError(`Unknown argument ${name}.\n\n${HELP}`);
      return true;
    },
  });
  const [command, ...paths] = _.map(String);
  if (command === undefined) throw new UserError(`Say what to do.\n\n${HELP}`);
  if (!isCommand(command)) throw new UserError(`There is no command "${command}".\n\n${HELP}`);
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
  if (empty !== undefined) throw new UserError(`--${empty} wants a value`);
  if (given("traced") && !given("trace")) {
    throw new UserError("--traced N is of what --trace FILE.jsonl writes: give that too");
  }
  if (given("exact") && given("tokenization")) {
    throw new UserError(
      "--exact compares whole documents, without --tokenization: give one of them",
    );
  }
  if (command === "inspect" && given("sequence") && !given("adopt")) {
    throw new UserError("--sequence N is of what --adopt writes: give that too");
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

export function text({ options }: Flags, name: string): string | undefined {
  const value = options[name];
  if (value === "") throw new UserError(`--${name} wants a value`);
  return value as string | undefined;
}

export function needed(flags: Flags, name: string): string {
  const value = text(flags, name);
  if (value === undefined) throw new UserError(`--${name} is needed.\n\n${HELP}`);
  return value;
}

export function number(flags: Flags, name: string): number | undefined {
  const value = text(flags, name);
  return value === undefined ? undefined : wholeNumber(name, value);
}

/** The files of `--input`, from which `output` is made. */
export async function inputs({ options }: Flags, output: string): Promise<string[]> {
  const paths = options.input as string[];
  if (paths.length === 0) throw new UserError(`--input is needed.\n\n${HELP}`);
  return await filesOf(paths, output);
}
