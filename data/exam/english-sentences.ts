import { brown } from "../corpora/brown.ts";
import type { Conversation } from "../instructions/conversation.ts";
import { Random, shuffled } from "../random.ts";
import { EMBEDDED_HELD_OUT } from "../corpora/embedded.ts";
import { isHeldOut } from "../token-corpus.ts";

/** How many sentences are asked about: as many as the embedded questions about poems are. */
const SENTENCES = 3552;
/** Words of a sentence that is neither too short to be cut nor too long to be learnt. */
const FEWEST_WORDS = 8;
const MOST_WORDS = 24;
const LETTERS = "ABCD";

/** Sentences of the Brown Corpus to be completed, to fine-tune in English. */
export async function englishConversations({ seed }: { seed: number }): Promise<Conversation[]> {
  return (await drawSentences(seed, 5)).map((words) => {
    const half = words.length >> 1;
    const beginning = words.slice(0, half).join(" ");
    const answer = words.slice(half).join(" ");
    return { turns: [{ question: `Complete the sentence: ${beginning}`, answer }] };
  });
}

/** The same as questions with four options, of which one is the sentence's own next word. */
export async function englishExamConversations(
  { seed }: { seed: number },
): Promise<Conversation[]> {
  const sentences = await drawSentences(seed, 6);
  const random = new Random(seed, 7);
  return sentences.map((words, index) => {
    const half = words.length >> 1;
    const right = index % LETTERS.length;
    const wordOf = () => {
      const other = sentences[random.below(sentences.length)];
      return other[1 + random.below(other.length - 2)];
    };
    const options = Array.from({ length: 4 }, (_, i) => i === right ? words[half] : wordOf())
      .map((word, i) => `${LETTERS[i]}. ${word}`);
    const question = `Which word comes next?\n${words.slice(0, half).join(" ")}\n` +
      `${options.join("\n")}\nAnswer with the letter.`;
    return { turns: [{ question, answer: LETTERS[right] }] };
  });
}

/** Sentences as words, in the seed's order. */
async function drawSentences(seed: number, stream: number): Promise<string[][]> {
  const sentences = await (all ??= readSentences());
  const order = shuffled(sentences.length, seed, stream).subarray(0, SENTENCES);
  return Array.from(order, (index) => sentences[index]);
}

/** All sentences, which are read only once. */
let all: Promise<string[][]> | undefined;

/** The sentences of the documents that are not held out. */
async function readSentences(): Promise<string[][]> {
  const sentences: string[][] = [];
  for await (const { text } of brown()) {
    if (isHeldOut(text, EMBEDDED_HELD_OUT)) continue;
    for (const sentence of text.split(/(?<=[.!?])\s+/)) {
      const words = sentence.split(/\s+/);
      if (words.length >= FEWEST_WORDS && words.length <= MOST_WORDS) sentences.push(words);
    }
  }
  return sentences;
}
