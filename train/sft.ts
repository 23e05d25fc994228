import { embeddedConversations } from "../data/exam/embedded-instructions.ts";
import { englishConversations, englishExamConversations } from "../data/exam/english-sentences.ts";
import type { Conversation } from "../data/instructions/conversation.ts";
import { encodeConversation, type Example, IGNORED_LABEL } from "../data/instructions/encode.ts";
import { ExampleStore } from "../data/instructions/example-store.ts";
import { countTokens, noTokens } from "../data/instructions/language-shares.ts";
import { readConversations } from "../data/instructions/read-set.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import type { Tokenizer } from "../model/tokenizer/tokenizer.ts";
import { takeExamples } from "./batches/instructions.ts";
import { sequenceOf, unseenAnswerItem } from "./batches/sequences.ts";
import { type Examples, fineTune } from "./fine-tuning.ts";
import type { Base } from "./checkpoint/base.ts";
import type { RunOptions } from "./run/run-options.ts";
import type { Given } from "./settings/settings-schema.ts";
import { type SftSettings, sftSettings } from "./settings/sft-settings.ts";
import { NextTokenObjective } from "./step/objective.ts";

/**
 * Supervised fine-tuning: trains a model on the assistant's part of conversations, or goes on where
 * the run's folder says that it was stopped.
 *
 * @param given settings; those left out are as in `sft.yaml`
 * @returns the trained model, or undefined if the run was stopped
 * @throws UserError for settings, datasets or a folder that it cannot work with
 */
export async function superviseFineTuning(
  given: Given<SftSettings>,
  options: RunOptions = {},
): Promise<LanguageModel | undefined> {
  const settings = await sftSettings(given);
  checkRules(settings.data);
  return await fineTune(settings, {
    name: "supervised fine-tuning",
    baseCommand: "deno task pretrain",
    unit: "examples",
    inWords: ({ loss }) => `the loss is ${loss.toFixed(4)} nats a token`,
    objective: () => new NextTokenObjective(),
    read: (base, say) => readExamples(settings.data, base, say),
  }, options);
}

async function readExamples(
  data: SftSettings["data"],
  { tokenizer }: Base,
  say: (text: string) => void,
): Promise<Examples> {
  const examples = new ExampleStore();
  const tokens = noTokens();
  await takeExamples<Conversation>(
    data,
    {
      embedded: {
        embedded: () => embeddedConversations(data),
        embedded_english: () => englishConversations(data),
        embedded_english_exam: () => englishExamConversations(data),
      },
      read: (set, problems) => readConversations(set, data, problems),
    },
    (conversation) => {
      const example = encodeConversation(conversation, tokenizer, data);
      examples.add(example);
      countTokens(tokens, textOf(conversation), example.ids.length);
    },
    say,
  );
  say(describeFirst(examples.at(0), tokenizer));
  return {
    items: {
      length: examples.length,
      at: (index) =>
        data.unseenAnswers
          ? unseenAnswerItem(examples.at(index))
          : [sequenceOf(examples.at(index))],
    },
    tokens,
  };
}

/**
 * LLaMA-Factory too refuses `mask_history` beside `train_on_prompt`; and where prompts are learnt,
 * an answer's first token is not where learning begins.
 */
function checkRules({ trainOnPrompt, maskHistory, unseenAnswers }: SftSettings["data"]): void {
  if (!trainOnPrompt || !(maskHistory || unseenAnswers)) return;
  const other = maskHistory ? "maskHistory" : "unseenAnswers";
  throw new UserError(`data.trainOnPrompt and data.${other} cannot both be true: set one to false`);
}

function textOf({ turns }: Conversation): string {
  return turns.map(({ question, answer }) => `${question}\n${answer}`).join("\n");
}

/** An example as the model gets it, so that a wrong template or mask shows. */
export function describeFirst(
  { ids, labels }: Example,
  tokenizer: Pick<Tokenizer, "decode">,
): string {
  return `The first example:\nids: ${folded(ids)}\ntext: ${tokenizer.decode(ids)}\n` +
    `labels: ${folded(labels)}\n` +
    `learnt: ${tokenizer.decode(labels.filter((label) => label !== IGNORED_LABEL))}`;
}

/** The first ten of some numbers, and how many there are. */
function folded(numbers: number[]): string {
  if (numbers.length <= 10) return numbers.join(" ");
  return `${numbers.slice(0, 10).join(" ")} ... (${numbers.length})`;
}
