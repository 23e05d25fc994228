import type { Document } from "../document.ts";
import { shuffled } from "../random.ts";
import { type Ingredient, isHeldOut } from "../token-corpus.ts";
import { brown } from "./brown.ts";
import { splitPoems } from "./poem-split.ts";
import { documentOf, isRegulated, poems } from "./poetry.ts";

/** To be changed when the embedded text or its order changes. */
export const EMBEDDED_EDITION = "embedded 2";

/**
 * The text that a run trains on by default: four fifths Chinese poetry and one fifth English, close
 * to the shares of the languages in Steel-LLM's corpus (arXiv 2502.06635, figure 2).
 */
export function embedded(): Ingredient[] {
  return [
    { documents: poetry(), share: 0.8 },
    { documents: brown(), share: 0.2 },
  ];
}

/** The share of the documents that every run on the embedded text holds out, at least by default. */
export const EMBEDDED_HELD_OUT = 0.02;

/**
 * Documents that no run on the embedded text is trained on by default, by source, the first ones of
 * each; the last is cut.
 *
 * @param bytes of each source, in UTF-8
 */
export async function embeddedHeldOut(bytes: number): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const { documents } of embedded()) {
    let left = bytes;
    for await (const { text, source } of documents) {
      if (!isHeldOut(text, EMBEDDED_HELD_OUT)) continue;
      if (!found.has(source)) found.set(source, []);
      const written = new Uint8Array(left);
      const { read, written: used } = new TextEncoder().encodeInto(text, written);
      found.get(source)!.push(text.slice(0, read));
      left -= used;
      if (read < text.length || left === 0) break;
    }
  }
  return found;
}

/**
 * Regulated verse first, whose forms a small model can learn; a large one goes on to the rest. The
 * poems that the exam asks about are left out.
 */
async function* poetry(): AsyncIterable<Document> {
  const { tang, ci, odes, song } = await splitPoems();
  for (const poem of tang.training) yield documentOf(poem);
  const others = (await Array.fromAsync(poems("tang-shi"))).filter((poem) => !isRegulated(poem));
  const rest = [...others, ...ci.training, ...odes.training];
  for (const index of shuffled(rest.length, 0)) yield documentOf(rest[index]);
  const exam = new Set(song.heldOut.map(({ place }) => place));
  for await (const poem of poems("song-shi")) {
    if (!exam.has(poem.place)) yield documentOf(poem);
  }
}
