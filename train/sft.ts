import { join } from "node:path";
import { embeddedConversations } from "../data/exam/embedded-instructions.ts";
import type { Conversation } from "../data/instructions/conversation.ts";
import { encodeConversation, type Example, IGNORED_LABEL } from "../data/instructions/encode.ts";
import { languageShares, sharesInWords } from "../data/instructions/language-shares.ts";
import { readConversations } from "../data/instructions/read-set.ts";
import { WholeFile } from "../data/whole-file.ts";
import { chatRenderer } from "../model/chat-template.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import { checkpointOf, fineTune } from "./fine-tuning.ts";
import { encodeAll, readSets } from "./instructions.ts";
import { NextTokenObjective } from "./objective.ts";
import { keepSettings } from "./run-settings.ts";
import { sequenceOf, unseenAnswerItem } from "./sequences.ts";
import type { SftSettings } from "./sft-settings.ts";

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
  const { data, run } = settings;
  const base = await checkpointOf(settings.model.path, "deno task pretrain");
  await keepSettings(run.dir, settings);
  const tokenizer = await Tokenizer.fromFolder(base);
  const conversations = await readSets(data, embeddedConversations, readConversations);
  const rules = {
    cutoff: data.cutoff,
    trainOnPrompt: data.trainOnPrompt === "yes",
    maskHistory: data.maskHistory === "yes",
  };
  const examples = encodeAll(
    conversations,
    (conversation) => encodeConversation(conversation, tokenizer, chatRenderer, rules),
  );
  const [{ encoded: first }] = examples;
  const shares = describeExamples(examples);
  await WholeFile.write(join(run.dir, "examples.json"), JSON.stringify(shares) + "\n");
  console.log(
    `The first example:\nids: ${first.ids.join(" ")}\ntext: ${tokenizer.decode(first.ids)}\n` +
      `labels: ${first.labels.join(" ")}\n` +
      `learnt: ${tokenizer.decode(first.labels.filter((label) => label !== IGNORED_LABEL))}`,
  );
  return await fineTune({
    stage: "supervised fine-tuning",
    settings,
    base,
    tokenizer,
    objective: () => new NextTokenObjective(),
    items: examples.map(({ encoded }) =>
      data.unseenAnswers === "yes" ? unseenAnswerItem(encoded) : [sequenceOf(encoded)]
    ),
  });
}

/** Counts the examples and their tokens by language, prints the shares and returns the numbers. */
function describeExamples(examples: readonly { source: Conversation; encoded: Example }[]) {
  const tokens = languageShares(examples.map(({ source: { turns }, encoded: { ids } }) => ({
    text: turns.map(({ question, answer }) => `${question}\n${answer}`).join("\n"),
    tokens: ids.length,
  })));
  const total = examples.reduce((sum, { encoded }) => sum + encoded.ids.length, 0);
  console.log(
    `${examples.length.toLocaleString("en")} examples of ${total.toLocaleString("en")} tokens: ` +
      sharesInWords(tokens),
  );
  return { examples: examples.length, tokens };
}
