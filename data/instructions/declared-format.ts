import { didYouMean } from "../../kernels/runtime/did-you-mean.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isRecord } from "../files/is-record.ts";
import {
  type Column,
  COLUMNS,
  DEFAULT_COLUMNS,
  DEFAULT_TAGS,
  OPENAI_TAGS,
  type SetFormat,
  type Tag,
  TAGS,
} from "./set-format.ts";

/** An entry of `dataset_info.json`. */
export type SetEntry = Record<string, unknown>;

/** Keys of an entry that tell where to download the set; its file is expected to be there. */
export const HUB_KEYS = ["hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"];

/** Keys of an entry that choose a part of a set on a hub, which a file is not. */
const HUB_PARTS = ["subset", "folder", "revision"];

const KEYS = [
  ...["file_name", "file_sha1", "formatting", "ranking", "columns", "tags", "split", "num_samples"],
  ...HUB_KEYS,
  ...HUB_PARTS,
];

/** Columns of pictures and sounds. */
const MEDIA: readonly string[] = ["images", "videos", "audios"];

const MESSAGES_ALONE: readonly Column[] = ["messages"];
const FIELDS_ALONE: readonly Column[] = ["prompt", "query", "response", "history"];

/**
 * The format that an entry of `dataset_info.json` declares. By LLaMA-Factory's rule, a map of columns
 * or tags replaces all of the defaults: what it does not name is not read.
 *
 * @param where the set, for messages
 * @throws UserError for a key or value that is not honoured here
 */
export function declaredFormat(entry: SetEntry, where: string): SetFormat {
  const refuse = (reason: string) => new UserError(`${where}: ${reason}`);
  for (const [key, value] of Object.entries(entry)) {
    if (value === null) continue;
    if (!KEYS.includes(key)) {
      throw refuse(`the key "${key}" is unknown${didYouMean(key, KEYS)}`);
    }
    if (HUB_PARTS.includes(key) || (key === "split" && value !== "train")) {
      throw refuse(
        `"${key}" chooses a part of a set on a hub; take it out, and give a file of that part alone`,
      );
    }
  }
  const { formatting = "alpaca", ranking = false } = entry;
  if (formatting !== "alpaca" && formatting !== "sharegpt" && formatting !== "openai") {
    throw refuse(`"formatting" must be "alpaca", "sharegpt" or "openai"`);
  }
  if (typeof ranking !== "boolean") throw refuse('"ranking" must be true or false');
  const isAlpaca = formatting === "alpaca";
  const columns = namesOf(entry, "columns", [...COLUMNS, ...MEDIA], refuse);
  const tags = namesOf(entry, "tags", TAGS, refuse);
  if (isAlpaca && tags) throw refuse('"tags" are for the formatting "sharegpt" or "openai"');
  if (columns) checkColumns(columns, isAlpaca, ranking, refuse);
  const isOpenAi = formatting === "openai";
  return {
    formatting: isAlpaca ? "alpaca" : "sharegpt",
    ranking,
    columns: columns ?? (isOpenAi ? { messages: "messages" } : DEFAULT_COLUMNS),
    tags: tags ?? (isOpenAi ? OPENAI_TAGS : DEFAULT_TAGS),
  };
}

type Refuse = (reason: string) => UserError;

/** Refuses columns that are declared, but would not be read. */
function checkColumns(
  columns: Partial<Record<string, string>>,
  isAlpaca: boolean,
  ranking: boolean,
  refuse: Refuse,
): void {
  const isDeclared = (column: string) => columns[column] !== undefined;
  const media = MEDIA.find(isDeclared);
  if (media) throw refuse(`the column "${media}" is not read: this model reads text alone`);
  const other = (isAlpaca ? MESSAGES_ALONE : FIELDS_ALONE).find(isDeclared);
  if (other) {
    throw refuse(
      `the column "${other}" is of the formatting ${
        isAlpaca ? '"sharegpt" or "openai"' : '"alpaca"'
      }`,
    );
  }
  const answers = ["chosen", "rejected"];
  if (ranking) {
    const missing = answers.find((column) => !isDeclared(column));
    if (missing) throw refuse(`pairs of answers ("ranking": true) need the column "${missing}"`);
    const unread = ["response", "kto_tag"].find(isDeclared);
    if (unread) throw refuse(`the column "${unread}" is not read of pairs ("ranking": true)`);
  } else {
    const answer = answers.find(isDeclared);
    if (answer) throw refuse(`the column "${answer}" is of pairs of answers: add "ranking": true`);
  }
}

/** The names that an entry gives to columns or tags; undefined if it gives none. */
function namesOf<Name extends Column | Tag | string>(
  entry: SetEntry,
  key: "columns" | "tags",
  known: readonly Name[],
  refuse: Refuse,
): Partial<Record<Name, string>> | undefined {
  const map = entry[key] ?? undefined;
  if (map === undefined) return undefined;
  if (!isRecord(map)) throw refuse(`"${key}" must be an object of names`);
  const given = Object.entries(map).filter(([, value]) => value !== null);
  for (const [name, value] of given) {
    if (!known.includes(name as Name)) {
      throw refuse(
        `"${name}" is not one of the ${key}${didYouMean(name, known)}`,
      );
    }
    if (typeof value !== "string") throw refuse(`"${name}" of "${key}" must be text`);
  }
  return Object.fromEntries(given) as Partial<Record<Name, string>>;
}
