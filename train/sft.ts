import { embeddedConversations } from "../data/exam/embedded-instructions.ts";
import type { Conversation } from "../data/instructions/conversation.ts";
import { encodeConversation, type Example, IGNORED_LABEL } from "../data/instructions/encode.ts";
import { ExampleStore } from "../data/instructions/example-store.ts";
import { countTokens, noTokens } from "../data/instructions/language-shares.ts";
import { readConversations } from "../data/instructions/read-set.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { chatRenderer } from "../model/tokenizer/chat-template.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import type { Tokenizer } from "../model/tokenizer/tokenizer.ts";
import { type Base, runFromBase } from "./run/base.ts";
import { fineTune } from "./fine-tuning.ts";
import { type Examples, takeExamples } from "./batches/instructions.ts";
import { NextTokenObjective } from "./step/objective.ts";
import { keepSettings } from "./settings/run-settings.ts";
import { sequenceOf, unseenAnswerItem } from "./batches/sequences.ts";
import type { SftSettings } from "./settings/sft-settings.ts";

/**
 * Supervised fine-tuning: trains a model on the assistant's part of conversations, or goes on where
 * the run's folder says that it was stopped.
 *
 * @returns the trained model, or undefined if the run was interrupted
 * @throws UserError for settings, sets or a folder that it cannot work with
 */
export async function superviseFineTuning(
  settings: SftSettings,
): Promise<LanguageModel | undefined> {
  checkRules(settings.data);
  return await runFromBase(settings, "deno task pretrain", superviseOn);
}

async function superviseOn(
  gpu: Gpu,
  settings: SftSettings,
  base: Base,
): Promise<LanguageModel | undefined> {
  const { data, run } = settings;
  await keepSettings(run.dir, settings);
  const examples = new ExampleStore();
  const tokens = noTokens();
  const conversations: Examples<Conversation> = {
    embedded: () => embeddedConversations(data),
    read: (set, problems) => readConversations(set, data, problems),
  };
  await takeExamples(data, conversations, (conversation) => {
    const example = encodeConversation(conversation, base.tokenizer, chatRenderer, data);
    examples.add(example);
    countTokens(tokens, textOf(conversation), example.ids.length);
  });
  describeFirst(examples.at(0), base.tokenizer);
  return await fineTune(gpu, {
    stage: "supervised fine-tuning",
    settings,
    base,
    objective: () => new NextTokenObjective(),
    items: {
      length: examples.length,
      at: (index) =>
        data.unseenAnswers
          ? unseenAnswerItem(examples.at(index))
          : [sequenceOf(examples.at(index))],
    },
    unit: "examples",
    tokens,
  });
}

/**
 * LLaMA-Factory too refuses `mask_history` beside `train_on_prompt`; and where prompts are learnt,
 * an answer's first token is not where learning begins.
 */
function checkRules({ trainOnPrompt, maskHistory, unseenAnswers }: SftSettings["data"]): void {
  if (!trainOnPrompt || !(maskHistory || unseenAnswers)) return;
  const other = maskHistory ? "maskHistory" : "unseenAnswers";
  throw new UserError(`data.trainOnPrompt and data.${other} exclude one another: set one to false`);
}

function textOf({ turns }: Conversation): string {
  return turns.map(({ question, answer }) => `${question}\n${answer}`).join("\n");
}

/** Prints an example as the model gets it, so that a wrong template or mask shows. */
function describeFirst({ ids, labels }: Example, tokenizer: Tokenizer): void {
  console.log(
    `The first example:\nids: ${ids.join(" ")}\ntext: ${tokenizer.decode(ids)}\n` +
      `labels: ${labels.join(" ")}\n` +
      `learnt: ${tokenizer.decode(labels.filter((label) => label !== IGNORED_LABEL))}`,
  );
}
