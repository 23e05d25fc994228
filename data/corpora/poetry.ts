import { chineseConvertMapper } from "../operators/chinese-convert-mapper.ts";
import type { Document } from "../document.ts";
import { readPackageJson } from "./package-files.ts";

/** A classical Chinese poem, in simplified characters. */
export interface Poem {
  /** The title; of a ci, the name of its tune. */
  title: string;
  /** `佚名` (unknown) for the Book of Songs. */
  author: string;
  /** When it was written: before Qin, under Tang or under Song. */
  dynasty: "先秦" | "唐" | "宋";
  /** The couplets of a shi, the sentences of a ci, the stanzas of the Book of Songs. */
  lines: string[];
  /** Its place in the package, such as `dist/quantangshi/poet.tang.0.json poem 12`. */
  place: string;
}

/** The parts of `npm:chinese-poetry` that are used here; the rest is prose, drama or notes. */
export type Collection = "tang-shi" | "song-ci" | "book-of-songs" | "song-shi";

/**
 * The poems of a collection, in the package's order: whole ones only, without those that have
 * lacunae or editors' marks.
 */
export async function* poems(collection: Collection): AsyncIterable<Poem> {
  const { dynasty, traditional, files } = COLLECTIONS[collection];
  const simplified = traditional ? toSimplified.map : (text: string) => text;
  for (const path of files) {
    const records = await readPackageJson("chinese-poetry", path) as PoemRecord[];
    for (const [index, record] of records.entries()) {
      const poem: Poem = {
        title: simplified(record.title ?? record.rhythmic ?? "").trim(),
        author: simplified(record.author ?? "佚名"),
        dynasty,
        lines: (record.paragraphs ?? record.content ?? []).map(simplified),
        place: `${path} poem ${index + 1}`,
      };
      if (isWhole(poem)) yield poem;
    }
  }
}

/**
 * Regulated verse: 4 or 8 verses, all of 5 or all of 7 characters, the forms of the Tang that
 * everyone knows by heart.
 */
export function isRegulated(poem: Poem): boolean {
  const lengths = poem.lines.flatMap(versesOf).map((verse) => [...verse].length);
  return (lengths.length === 4 || lengths.length === 8) &&
    (lengths[0] === 5 || lengths[0] === 7) &&
    lengths.every((length) => length === lengths[0]);
}

/** The poem as a text to train on: its title, its author, then the lines. */
export function documentOf(poem: Poem): Document {
  return {
    text: [poem.title, `${poem.dynasty}·${poem.author}`, ...poem.lines].join("\n"),
    source: "npm:chinese-poetry",
    place: poem.place,
  };
}

/** A record of the package's files; the Book of Songs has `content`, a ci has only its tune. */
interface PoemRecord {
  title?: string;
  rhythmic?: string;
  author?: string;
  paragraphs?: string[];
  content?: string[];
}

const toSimplified = chineseConvertMapper.create({ mode: "t2s" }, {});

interface CollectionFiles {
  dynasty: Poem["dynasty"];
  /** Whether its characters are traditional. */
  traditional: boolean;
  files: string[];
}

/** The large collections come in files of a thousand poems, named by the first. */
const COLLECTIONS: Record<Collection, CollectionFiles> = {
  "tang-shi": {
    dynasty: "唐",
    traditional: true,
    files: thousands(58, (first) => `dist/quantangshi/poet.tang.${first}.json`),
  },
  "song-ci": {
    dynasty: "宋",
    traditional: false,
    files: thousands(22, (first) => `dist/songci/ci.song.${first}.json`),
  },
  "book-of-songs": {
    dynasty: "先秦",
    traditional: false,
    files: ["dist/shijing/shijing.json"],
  },
  "song-shi": {
    dynasty: "宋",
    traditional: true,
    files: thousands(255, (first) => `dist/quantangshi/poet.song.${first}.json`),
  },
};

function thousands(count: number, name: (first: number) => string): string[] {
  return Array.from({ length: count }, (_, file) => name(file * 1000));
}

const NAME = /^\p{Script=Han}+$/u;
const TITLE = /^[\p{Script=Han}·，、 ]+$/u;
const LINE = /^[\p{Script=Han}，。！？；、：]+$/u;

/** `句` is the title of verses that survive without their poem. */
function isWhole({ title, author, lines }: Poem): boolean {
  return TITLE.test(title) && !/^句(\s|$)/.test(title) && NAME.test(author) &&
    lines.flatMap(versesOf).length > 1 && lines.every((line) => LINE.test(line));
}

/** The verses of a line, without punctuation. */
export function versesOf(line: string): string[] {
  return line.split(/[，。！？；、：]/).filter((verse) => verse !== "");
}
