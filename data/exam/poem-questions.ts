import type { PoemSplit, SplitPoems } from "../corpora/poem-split.ts";
import { type Poem, versesOf } from "../corpora/poetry.ts";
import type { ExamQuestion } from "../instructions/exam.ts";
import type { Random } from "../random.ts";

/** What a question asks about. */
export type QuestionKind = "form" | "source" | "author" | "next line";

/** A question about a poem, in two forms: of an exam, and as people ask in a chat. */
export interface PoemQuestion {
  kind: QuestionKind;
  exam: ExamQuestion;
  chat: string;
  /** The right answer, in words. */
  right: string;
  /** A wrong answer: another option, in words. */
  wrong: string;
  /** The letter of that option. */
  wrongLetter: string;
}

const FORMS = ["五绝", "七绝", "五律", "七律"];
const SOURCES = ["诗经", "唐诗", "宋诗", "宋词"];
const LETTERS = "ABCD";
const AUTHORS = ["李白", "杜甫", "白居易", "李商隐"];

/**
 * Questions about poems: a quarter of each kind, each answer equally often.
 *
 * @param part the poems to ask about
 * @param count number of questions, a multiple of 16
 */
export function poemQuestions(
  poems: SplitPoems,
  part: keyof PoemSplit,
  count: number,
  random: Random,
): PoemQuestion[] {
  const tang = poems.tang[part];
  const ofForm = (form: number) => tang.filter((poem) => formOf(poem) === form);
  const ofAuthor = (author: string) => tang.filter((poem) => poem.author === author);
  const collections = [poems.odes, poems.tang, poems.song, poems.ci].map((split) => split[part]);
  const pools = {
    form: FORMS.map((_, form) => ofForm(form)),
    source: collections,
    author: AUTHORS.map(ofAuthor),
  };
  const draw = (pool: readonly Poem[]) => pool[random.below(pool.length)];
  return Array.from({ length: count }, (_, index) => {
    const right = Math.floor(index / 4) % 4;
    const wrong = (right + 1 + random.below(3)) % 4;
    switch (index % 4) {
      case 0: {
        const text = textOf(draw(pools.form[right]));
        return asked("form", "此诗是何体", text, FORMS, right, wrong);
      }
      case 1: {
        const text = excerpt(draw(pools.source[right]), random);
        return asked("source", "此句出于何处", text, SOURCES, right, wrong);
      }
      case 2: {
        const text = excerpt(draw(pools.author[right]), random);
        return asked("author", "此句是何人作", text, AUTHORS, right, wrong);
      }
      default:
        return nextLine(tang, right, wrong, random);
    }
  });
}

function asked(
  kind: QuestionKind,
  question: string,
  text: string,
  options: string[],
  right: number,
  wrong: number,
): PoemQuestion {
  return {
    kind,
    exam: examOf(`${text}\n${question}`, options, right),
    chat: `${text}\n${question}？`,
    right: `${options[right]}。`,
    wrong: `${options[wrong]}。`,
    wrongLetter: LETTERS[wrong],
  };
}

/** A question which of four verses, all of the same length, ends a couplet. */
function nextLine(
  poems: readonly Poem[],
  right: number,
  wrong: number,
  random: Random,
): PoemQuestion {
  const [first, second] = drawCouplet(poems, random);
  const options: string[] = [];
  while (options.length < 4) {
    const other = options.length === right ? second : drawCouplet(poems, random)[1];
    const isNew = !options.includes(other) && (options.length === right || other !== second);
    if (isNew && other.length === second.length) options.push(other);
  }
  return {
    kind: "next line",
    exam: examOf(`${first}\n下句是`, options, right),
    chat: `${first}\n下句是？`,
    right: `${second}。`,
    wrong: `${options[wrong]}。`,
    wrongLetter: LETTERS[wrong],
  };
}

/** The two verses of a line; a line may have another number of them. */
function drawCouplet(poems: readonly Poem[], random: Random): string[] {
  while (true) {
    const { lines } = poems[random.below(poems.length)];
    const verses = versesOf(lines[random.below(lines.length)]);
    if (verses.length === 2) return verses;
  }
}

function examOf(question: string, options: string[], right: number): ExamQuestion {
  return { kind: "单选题", question, options, answer: LETTERS[right] };
}

/** 0 to 3, as in FORMS; -1 for other lengths of verse. */
function formOf({ lines }: Poem): number {
  const verses = lines.flatMap(versesOf);
  const width = [5, 7].indexOf([...verses[0]].length);
  return width < 0 ? -1 : width + (verses.length === 8 ? 2 : 0);
}

function textOf({ lines }: Poem): string {
  return lines.join("");
}

/** Two lines that follow each other, or one where there are no two. */
function excerpt({ lines }: Poem, random: Random): string {
  const first = random.below(Math.max(1, lines.length - 1));
  return lines.slice(first, first + 2).join("");
}
