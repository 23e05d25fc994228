import type { Encoder } from "../tokenizer/encoder.ts";
import { type Conversation, type Preference, UnusableExample } from "./conversation.ts";

/** The label of a token that the loss ignores, as in PyTorch. */
export const IGNORED_LABEL: number = -100;

/** A chat template, in parts: what the model reads, and what it learns to answer. */
export interface ChatRenderer {
  /**
   * The text before an answer: the question and the opening of the answer, and in the first turn
   * (number 0) the system message before them.
   */
  prompt(question: string, turn: number, system?: string): string;
  /** An answer with the token that closes it. */
  answer(text: string): string;
}

/** A conversation as tokens: `labels[i]` is `ids[i]` where the loss counts it, else -100. */
export interface Example {
  /** Token ids [seq]. */
  ids: number[];
  /** Labels [seq], the label mask: -100 where the loss ignores the token. */
  labels: number[];
}

/** The two examples of a preference; both have the same prompt. */
export interface PreferenceExample {
  /** The conversation with the better answer. */
  chosen: Example;
  /** The conversation with the worse answer. */
  rejected: Example;
}

/** Which tokens of a conversation to train on, with LLaMA-Factory's names and meanings. */
export interface EncodingRules {
  /** The most tokens of an example. */
  cutoff: number;
  /** Train on the prompts too. */
  trainOnPrompt: boolean;
  /** Train on the last answer only; if not everything fits, the last turns are kept. */
  maskHistory: boolean;
}

/**
 * The tokens and labels of a conversation. Prompts and answers are tokenized apart, each turn is
 * cut to the room that is left, and turns without room are dropped: LLaMA-Factory's rules, in which
 * the answer counts most.
 *
 * @throws UnusableExample if no token of it would be trained on
 */
export function encodeConversation(
  { system, turns }: Conversation,
  tokenizer: Encoder,
  renderer: ChatRenderer,
  rules: EncodingRules,
): Example {
  const encoded = turns.map(({ question, answer }, turn) => ({
    prompt: tokenizer.encode(renderer.prompt(question, turn, system)),
    answer: tokenizer.encode(renderer.answer(answer)),
  }));
  if (rules.maskHistory) encoded.reverse();
  const pieces: Example[] = [];
  let length = 0;
  for (const [index, { prompt, answer }] of encoded.entries()) {
    if (length >= rules.cutoff) break;
    const room = shareRoom(prompt.length, answer.length, rules.cutoff - length);
    const promptIds = prompt.slice(0, room.prompt);
    const answerIds = answer.slice(0, room.answer);
    const learnt = !rules.maskHistory || index === 0;
    pieces.push({
      ids: [...promptIds, ...answerIds],
      labels: [
        ...(rules.trainOnPrompt ? promptIds : ignored(promptIds.length)),
        ...(learnt ? answerIds : ignored(answerIds.length)),
      ],
    });
    length += promptIds.length + answerIds.length;
  }
  if (rules.maskHistory) pieces.reverse();
  const example = {
    ids: pieces.flatMap(({ ids }) => ids),
    labels: pieces.flatMap(({ labels }) => labels),
  };
  requireLabels(example, rules.cutoff);
  return example;
}

/**
 * The tokens and labels of both answers to a question. As in {@linkcode encodeConversation}, each
 * prompt and answer of earlier turns is tokenized apart. All that comes before the answers is cut
 * once, for the longer answer.
 *
 * @throws UnusableExample if no token of an answer is left, or if both answers are left the same
 */
export function encodePreference(
  { system, history, question, chosen, rejected }: Preference,
  tokenizer: Encoder,
  renderer: ChatRenderer,
  cutoff: number,
): PreferenceExample {
  if (chosen === rejected) throw new UnusableExample("the chosen answer is the rejected one");
  const prompt = [
    ...history.flatMap((turn, index) => [
      renderer.prompt(turn.question, index, system),
      renderer.answer(turn.answer),
    ]),
    renderer.prompt(question, history.length, system),
  ].flatMap((text) => tokenizer.encode(text));
  const answers = [chosen, rejected].map((answer) => tokenizer.encode(renderer.answer(answer)));
  const room = shareRoom(prompt.length, Math.max(...answers.map(({ length }) => length)), cutoff);
  const kept = prompt.slice(0, room.prompt);
  const [first, second] = answers.map((answer) => {
    const ids = answer.slice(0, room.answer);
    return { ids: [...kept, ...ids], labels: [...ignored(kept.length), ...ids] };
  });
  requireLabels(first, cutoff);
  requireLabels(second, cutoff);
  if (String(first.ids) === String(second.ids)) {
    throw new UnusableExample(`its answers are the same in the ${cutoff} tokens that are kept`);
  }
  return { chosen: first, rejected: second };
}

/**
 * The number of tokens to keep of a prompt and of its answer (LLaMA-Factory's `infer_seqlen`): a
 * short answer is kept whole, otherwise a short prompt is, otherwise both are cut in proportion.
 */
export function shareRoom(
  prompt: number,
  answer: number,
  room: number,
): { prompt: number; answer: number } {
  let most: number;
  if (answer * 2 < room) most = room;
  else if (prompt * 2 < room) most = room - prompt;
  else most = Math.floor(room * (answer / (prompt + answer)));
  const keptAnswer = Math.min(most, answer);
  return { prompt: Math.min(Math.max(room - keptAnswer, 0), prompt), answer: keptAnswer };
}

function ignored(length: number): number[] {
  return new Array(length).fill(IGNORED_LABEL);
}

/**
 * Refuses an example without labels. The first token does not count: nothing before it predicts it.
 */
function requireLabels({ labels }: Example, cutoff: number): void {
  if (labels.slice(1).some((label) => label !== IGNORED_LABEL)) return;
  throw new UnusableExample(`nothing of its answers is left in ${cutoff} tokens`);
}
