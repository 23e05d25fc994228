import { isRecord } from "../files/is-record.ts";
import { shown } from "../text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { AddedToken } from "./byte-pair-tokenizer.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** More than a hundred times as many as the largest vocabularies have. */
const MOST_IDS = 2 ** 24;

/** The tokens of a tokenizer and their ids; an added token wins over one of the model's. */
export class TokenTable {
  /** Added tokens by id. */
  readonly added: ReadonlyMap<number, AddedToken>;
  readonly #name: string;
  readonly #vocab: Readonly<Record<string, number>>;
  readonly #addedIds: ReadonlyMap<string, number>;
  /** By id; made when first asked for. */
  #tokens?: readonly string[];

  /** @throws UserError if the tokenizer is no BPE */
  constructor({ name, tokenizer }: Pick<TokenizerFiles, "name" | "tokenizer">) {
    this.#name = name;
    const { model, added_tokens: added } = tokenizer;
    if (!isRecord(model) || !isRecord(model.vocab) || !Array.isArray(model.merges)) {
      const kind = isRecord(model) ? shown(model.type) : "missing";
      throw new UserError(
        `${name}: the tokenizer cannot be used: its model is ${kind}; expected "BPE", with "vocab" ` +
          `and "merges"`,
      );
    }
    const addedTokens = Array.isArray(added) ? added as AddedToken[] : [];
    for (const [token, id] of Object.entries(model.vocab)) this.#check(token, id);
    for (const token of addedTokens) this.#check(token?.content, token?.id);
    this.added = new Map(addedTokens.map((token) => [token.id, token]));
    this.#vocab = model.vocab as Record<string, number>;
    this.#addedIds = new Map(addedTokens.map(({ content, id }) => [content, id]));
  }

  /** One more than the largest id. */
  get size(): number {
    return this.#byId.length;
  }

  /** The id of a token; undefined if there is no such token. */
  find(token: string): number | undefined {
    const id = this.#addedIds.get(token);
    return id ?? (Object.hasOwn(this.#vocab, token) ? this.#vocab[token] : undefined);
  }

  /** The id of a token. @throws UserError if there is no such token */
  idOf(token: string): number {
    const id = this.find(token);
    if (id !== undefined) return id;
    throw new UserError(`${this.#name}: the tokenizer has no token ${JSON.stringify(token)}`);
  }

  /** The token of an id; undefined if none has this id. */
  tokenOf(id: number): string | undefined {
    return this.#byId[id];
  }

  #check(token: unknown, id: unknown): void {
    const isId = Number.isInteger(id) && Number(id) >= 0 && Number(id) < MOST_IDS;
    if (typeof token === "string" && isId) return;
    throw new UserError(
      `${this.#name}: the tokenizer cannot be used: its token ${shown(token)} has the id ` +
        `${shown(id)}; expected a text, and a whole number below ${MOST_IDS}`,
    );
  }

  get #byId(): readonly string[] {
    if (!this.#tokens) {
      const tokens: string[] = [];
      for (const [token, id] of Object.entries(this.#vocab)) tokens[id] = token;
      for (const [token, id] of this.#addedIds) tokens[id] = token;
      this.#tokens = tokens;
    }
    return this.#tokens;
  }
}
