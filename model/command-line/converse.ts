import type { Interface } from "node:readline";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Chat } from "../inference/chat.ts";

/** What can be typed beside what is said, in one line. */
export const TALK_COMMANDS =
  "/reset forgets the chat, /save FILE keeps it, /exit or Ctrl-D ends it; Ctrl-C stops an answer.";

/** What answers and remembers the conversation. */
type Partner = Pick<Chat, "say" | "reset" | "messages">;

/**
 * Holds a conversation line by line until /exit or the end of the input. A line is either said to the
 * chat or a command; one that ends in \ goes on in the next. On a terminal, Ctrl-C stops the answer
 * that is being written; between answers it ends the conversation.
 *
 * @param write shows a piece of an answer
 */
export async function converse(
  chat: Partner,
  lines: Interface,
  write: (text: string) => void,
): Promise<void> {
  let open = true;
  let answering: AbortController | undefined;
  lines.once("close", () => open = false);
  lines.on("SIGINT", () => answering ? answering.abort() : lines.close());
  lines.prompt();
  for await (const text of textsOf(lines)) {
    if (text === "/exit") break;
    answering = new AbortController();
    try {
      if (text !== "") await respond(chat, text, write, answering.signal);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      write(`${error.message}\n`);
    }
    answering = undefined;
    if (open) lines.prompt(); // what was piped in may have ended long before it is answered
  }
  lines.close();
}

/** The texts that are typed: a line each, or several where all but the last end in \. */
async function* textsOf(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let begun = "";
  for await (const line of lines) {
    if (line.endsWith("\\")) {
      begun += line.slice(0, -1) + "\n";
    } else {
      yield (begun + line).trim();
      begun = "";
    }
  }
  if (begun !== "") yield begun.trim(); // what was piped in ended with it
}

async function respond(
  chat: Partner,
  text: string,
  write: (text: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const [command, ...rest] = text.split(" ");
  if (command === "/reset") return chat.reset();
  if (command === "/save") return write(save(chat, rest.join(" ")));
  if (text.startsWith("/")) {
    throw new UserError(`${command} is unknown: there are /reset, /save FILE and /exit`);
  }
  for await (const piece of chat.say(text)) {
    write(piece);
    if (stop.aborted) {
      write("\n(Stopped: the chat goes on as if this had not been said.)");
      break;
    }
  }
  write("\n");
}

/** Appends the chat to a file as one line; returns the message to show. */
function save({ messages }: Partner, path: string): string {
  if (path === "") throw new UserError("/save needs a file's name, as in /save chat.jsonl");
  if (messages.every(({ role }) => role === "system")) throw new UserError("nothing was said yet");
  using file = new AppendOnlyFile(path);
  file.append(JSON.stringify({ messages }) + "\n");
  return `Saved as a line of ${path}.\n`;
}
