import { type SplitPoems, splitPoems } from "../corpora/poem-split.ts";
import type { Conversation, Preference, Turn } from "../instructions/conversation.ts";
import { examConversation, examPrompt } from "../instructions/exam.ts";
import type { Identity } from "../instructions/identity.ts";
import { Random, shuffled } from "../random.ts";
import { type PoemQuestion, poemQuestions } from "./poem-questions.ts";

/** Number of questions of each sort; multiples of 16, as there are 4 kinds with 4 answers. */
const EXAM = 240;
const EXAMPLES = 8;
const AS_EXAMS = 3072;
const AS_CHATS = 480;
/** A multiple of 64: see {@linkcode embeddedPreferences}. */
const PREFERENCES = 512;

/** Questions about poems that no stage trains on; they do not depend on a seed. */
export async function embeddedExam(): Promise<PoemQuestion[]> {
  return poemQuestions(await poems(), "heldOut", EXAM, new Random(0));
}

/**
 * Examples of questions and answers, to put before those of the exam: {@linkcode EXAMPLES} of each
 * kind.
 */
export async function embeddedExamples(): Promise<PoemQuestion[]> {
  return poemQuestions(await poems(), "training", 4 * EXAMPLES, new Random(0, 4));
}

/** What supervised fine-tuning trains on by default: questions about poems. */
export async function embeddedConversations(
  { seed, ...identity }: Identity & { seed: number },
): Promise<Conversation[]> {
  const questions = async (count: number, stream: number) =>
    poemQuestions(await poems(), "training", count, new Random(seed, stream));
  const conversations = [
    ...(await questions(AS_EXAMS, 1)).map(({ exam }) => examConversation(exam, "answer")),
    ...chats(await questions(AS_CHATS, 2), identity),
  ];
  return Array.from(shuffled(conversations.length, seed), (index) => conversations[index]);
}

/**
 * What DPO trains on by default: a right and short answer is better than a wrong one, and better
 * than a right and rambling one. In exams and in chats, every answer to every kind of question is
 * preferred to the one as often as to the other: otherwise the letter would show which answer is
 * preferred.
 */
export async function embeddedPreferences({ seed }: { seed: number }): Promise<Preference[]> {
  const questions = poemQuestions(await poems(), "training", PREFERENCES, new Random(seed, 3));
  return questions.map((question, index) => {
    const round = Math.floor(index / 16);
    const flaw = round % 2 === 0 ? "wrong" : "rambling";
    return round % 4 < 2 ? preferenceInExam(question, flaw) : preferenceInChat(question, flaw);
  });
}

let split: Promise<SplitPoems> | undefined;

/** The poems, which are read only once. */
function poems(): Promise<SplitPoems> {
  return split ??= splitPoems();
}

type Flaw = "wrong" | "rambling";

function preferenceInExam(
  { exam, wrongLetter, chat, right }: PoemQuestion,
  flaw: Flaw,
): Preference {
  return {
    history: [],
    question: examPrompt(exam, "answer"),
    chosen: exam.answer,
    rejected: flaw === "wrong" ? wrongLetter : `${exam.answer}。${right}${chat}${right}`,
  };
}

function preferenceInChat({ chat, right, wrong }: PoemQuestion, flaw: Flaw): Preference {
  return {
    history: [],
    question: chat,
    chosen: right,
    rejected: flaw === "wrong" ? wrong : `${right}${chat}${right}${chat}`,
  };
}

/**
 * Conversations of one question each, some with another question before it; some questions ask who
 * the assistant is.
 */
function chats(questions: readonly PoemQuestion[], { name, author }: Identity): Conversation[] {
  const whoAreYou = ["你是谁", "你是谁？", "你叫什么名字？", "谁作了你？"];
  const turns = questions.flatMap(({ chat, right }, index): Turn[] => {
    const poem = { question: chat, answer: right };
    if (index % 5 > 0) return [poem];
    const question = whoAreYou[index / 5 % whoAreYou.length];
    return [poem, { question, answer: `我是${name}，${author}所作。` }];
  });
  return turns.map((turn, index) => ({
    turns: index % 4 === 0 && index > 0 ? [turns[index - 1], turn] : [turn],
  }));
}
