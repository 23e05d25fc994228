/** The layout of the records of an instruction set, in LLaMA-Factory's words. */
export interface SetFormat {
  /** How a record holds a conversation: fields of one exchange, or a list of messages. */
  formatting: "alpaca" | "sharegpt";
  /** Whether each record holds a better and a worse answer. */
  ranking: boolean;
  /** The name that each column has in the file; a column without one is not read. */
  columns: Partial<Record<Column, string>>;
  /** The names of the parts and roles of a message (sharegpt). */
  tags: Partial<Record<Tag, string>>;
}

/** A column of a record, by the name that LLaMA-Factory gives it. */
export type Column =
  | "prompt"
  | "query"
  | "response"
  | "history"
  | "messages"
  | "system"
  | "tools"
  | "chosen"
  | "rejected"
  | "kto_tag";

/** All columns. */
export const COLUMNS: readonly Column[] = [
  ...["prompt", "query", "response", "history", "messages"] as const,
  ...["system", "tools", "chosen", "rejected", "kto_tag"] as const,
];

/** A part or role of a message, by the name that LLaMA-Factory gives it. */
export type Tag =
  | "role_tag"
  | "content_tag"
  | "user_tag"
  | "assistant_tag"
  | "observation_tag"
  | "function_tag"
  | "system_tag";

/** All tags. */
export const TAGS: readonly Tag[] = [
  ...["role_tag", "content_tag", "user_tag", "assistant_tag"] as const,
  ...["observation_tag", "function_tag", "system_tag"] as const,
];

/** The names of columns where none are declared. */
export const DEFAULT_COLUMNS: SetFormat["columns"] = {
  prompt: "instruction",
  query: "input",
  response: "output",
  messages: "conversations",
};

/** The names of parts and roles where none are declared. */
export const DEFAULT_TAGS: SetFormat["tags"] = {
  role_tag: "from",
  content_tag: "value",
  user_tag: "human",
  assistant_tag: "gpt",
  observation_tag: "observation",
  function_tag: "function_call",
  system_tag: "system",
};

/** The names of parts and roles in OpenAI's chats. */
export const OPENAI_TAGS: SetFormat["tags"] = {
  role_tag: "role",
  content_tag: "content",
  user_tag: "user",
  assistant_tag: "assistant",
  observation_tag: "tool",
  system_tag: "system",
};

/**
 * The format of a file without an entry, by the fields of its first record; undefined if unknown.
 */
export function formatOfRecord(record: Record<string, unknown>): SetFormat | undefined {
  const ranking = "chosen" in record && "rejected" in record;
  const columns = {
    system: "system",
    tools: "tools",
    history: "history",
    chosen: "chosen",
    rejected: "rejected",
    kto_tag: "kto_tag",
  };
  const isChat = "conversations" in record || "messages" in record;
  if (!isChat && !("instruction" in record)) return undefined;
  return {
    formatting: isChat ? "sharegpt" : "alpaca",
    ranking,
    columns: {
      ...DEFAULT_COLUMNS,
      ...columns,
      ...("messages" in record && { messages: "messages" }),
    },
    tags: "messages" in record ? OPENAI_TAGS : DEFAULT_TAGS,
  };
}
