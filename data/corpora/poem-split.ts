import { shuffled } from "../random.ts";
import { isRegulated, type Poem, poems } from "./poetry.ts";

/**
 * A collection in random order: the poems to train on, and those that are held out for the exam.
 */
export interface PoemSplit {
  training: Poem[];
  heldOut: Poem[];
}

/** The collections that the exam asks about. */
export interface SplitPoems {
  /** Regulated verse of the Tang. */
  tang: PoemSplit;
  /** Ci of the Song. */
  ci: PoemSplit;
  /** The Book of Songs. */
  odes: PoemSplit;
  /** The first shi of the Song. */
  song: PoemSplit;
}

const HELD_OUT_SHARE = 0.02;
const FEWEST_HELD_OUT = 60;
const SONG_SHI = 3000;

/**
 * Splits the poems, the same in every run: neither pretraining nor fine-tuning sees the poems that
 * are held out.
 */
export async function splitPoems(): Promise<SplitPoems> {
  const collections = {
    tang: split((await Array.fromAsync(poems("tang-shi"))).filter(isRegulated)),
    ci: split(await Array.fromAsync(poems("song-ci"))),
    odes: split(await Array.fromAsync(poems("book-of-songs"))),
    song: split(await firstPoems("song-shi", SONG_SHI)),
  };
  // Some poems stand in the collections twice, under other titles, authors or dynasties.
  const splits = Object.values(collections);
  const known = new Set(splits.flatMap(({ training }) => training.map(textOf)));
  for (const split of splits) {
    split.heldOut = split.heldOut.filter((poem) => !known.has(textOf(poem)));
  }
  return collections;
}

function split(list: readonly Poem[]): PoemSplit {
  const order = Array.from(shuffled(list.length, 0), (index) => list[index]);
  const heldOut = Math.max(FEWEST_HELD_OUT, Math.round(HELD_OUT_SHARE * list.length));
  return { training: order.slice(0, -heldOut), heldOut: order.slice(-heldOut) };
}

function textOf({ lines }: Poem): string {
  return lines.join("");
}

async function firstPoems(collection: "song-shi", count: number): Promise<Poem[]> {
  const found: Poem[] = [];
  for await (const poem of poems(collection)) {
    if (found.push(poem) === count) break;
  }
  return found;
}
