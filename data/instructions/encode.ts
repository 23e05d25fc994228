import { type Conversation, type Preference, UnusableExample } from "./conversation.ts";

/** The label of a token that the loss ignores, as in PyTorch. */
export const IGNORED_LABEL: number = -100;

/** A turn of a conversation as tokens. */
export interface EncodedTurn {
  /**
   * What the model reads before the answer: the question and the opening of the answer, and in the
   * first turn the system message before them.
   */
  readonly prompt: readonly number[];
  /** What it learns to answer, with the token that closes it. */
  readonly answer: readonly number[];
}

/** Turns conversations into tokens, by a chat template. */
export interface TurnEncoder {
  /** The ids of a conversation, turn by turn. */
  encodeTurns(conversation: Conversation): EncodedTurn[];
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
 * The tokens and labels of a conversation. Each turn is cut to the room that is left, and turns
 * without room are dropped: LLaMA-Factory's rules, in which the answer counts most.
 *
 * @throws UnusableExample if no token of it would be trained on
 */
export function encodeConversation(
  conversation: Conversation,
  encoder: TurnEncoder,
  rules: EncodingRules,
): Example {
  const encoded = encoder.encodeTurns(conversation);
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
 * The tokens and labels of both answers to a question. All that comes before the answers is cut
 * once, for the longer answer.
 *
 * @throws UnusableExample if no token of an answer is left, or if both answers are left the same
 */
export function encodePreference(
  { system, history, question, chosen, rejected }: Preference,
  encoder: TurnEncoder,
  cutoff: number,
): PreferenceExample {
  if (chosen === rejected) throw new UnusableExample("the chosen answer is the rejected one");
  const [turns, others] = [chosen, rejected].map((answer) =>
    encoder.encodeTurns({ system, turns: [...history, { question, answer }] })
  );
  const prompt = [
    ...turns.slice(0, -1).flatMap(({ prompt, answer }) => [...prompt, ...answer]),
    ...turns.at(-1)!.prompt,
  ];
  const answers = [turns, others].map((turns) => turns.at(-1)!.answer);
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
