import type { Conversation } from "../../data/instructions/conversation.ts";
import type { EncodedTurn, TurnEncoder } from "../../data/instructions/encode.ts";
import { isRecord } from "../../data/files/is-record.ts";
import type { TextFolder } from "../../data/files/text-folder.ts";
import { BYTE_TOKENS } from "../../data/tokenizer/byte-level.ts";
import { type DocumentMarks, documentMarks } from "../../data/tokenizer/document-marks.ts";
import type { Encoder } from "../../data/tokenizer/encoder.ts";
import { encoderOf } from "../../data/tokenizer/encoder-of.ts";
import { LibraryTokenizer } from "../../data/tokenizer/library-tokenizer.ts";
import { TokenTable } from "../../data/tokenizer/token-table.ts";
import { readTokenizerFiles, type TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ChatMessage, ChatTemplate } from "./chat-template.ts";
import { chatTemplateOf } from "./checkpoint-template.ts";
import { ByteDecoder, type DecodeStream, WindowStream } from "./decode-stream.ts";
import { idsToKeep, pruneTokenizerFiles } from "./prune-tokenizer.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Bytes that valid UTF-8 never contains, so that no text is ever encoded with their tokens. */
const IMPOSSIBLE_BYTES = [0xc0, 0xc1, ...Array.from({ length: 11 }, (_, i) => 0xf5 + i)];

/** How many ids a text that is continued is decoded with: enough for any character. */
const CONTEXT = 8;

/** How ids become text. */
export interface DecodeOptions {
  /** Leave out `<|endoftext|>`, `<|im_start|>`, `<s>` and the like. */
  skipSpecial?: boolean;
}

/** How ids become text one after another. */
export interface DecodeStreamOptions extends DecodeOptions {
  /** Ids that the text continues: a space at its beginning is then kept. */
  after?: readonly number[];
}

/**
 * A checkpoint's tokenizer: text to token ids and back. What is fast here is computed here: encoding of
 * the kinds that {@linkcode encoderOf} knows, and decoding of byte-level BPEs; all else is left to
 * `@huggingface/tokenizers`.
 */
export class Tokenizer implements Encoder, TurnEncoder {
  readonly #files: TokenizerFiles;
  readonly #tokens: TokenTable;
  readonly #encoder: Encoder;
  readonly #marks: DocumentMarks;
  /** Of byte-level tokenizers. */
  readonly #bytes?: ByteDecoder;
  /** Of others, made when first needed. */
  #library?: LibraryTokenizer;
  readonly #template?: ChatTemplate;

  /**
   * Makes the tokenizer that files define.
   *
   * @throws UserError if it is no BPE, or if no token of it could end a document
   */
  constructor(files: TokenizerFiles) {
    this.#files = files;
    this.#tokens = new TokenTable(files);
    this.#encoder = encoderOf(files);
    this.#marks = documentMarks(files, this.#tokens);
    if (isByteLevel(files.tokenizer.decoder)) this.#bytes = new ByteDecoder(this.#tokens);
    if (this.#encoder instanceof LibraryTokenizer) this.#library = this.#encoder;
    this.#template = chatTemplateOf(files, this.#tokens);
  }

  /**
   * The tokenizer stored with a checkpoint; undefined if there is none.
   *
   * @throws UserError if it is no BPE, or if no token of it could end a document
   */
  static async read(folder: TextFolder): Promise<Tokenizer | undefined> {
    const files = await readTokenizerFiles(folder);
    return files && new Tokenizer(files);
  }

  /**
   * The vocabulary pruned to the tokens used and those without which they could not be encoded.
   *
   * @param idsUsed ids of a corpus, in any order and as often as they occur
   * @param fullSize rows of the unpruned model (its config's `vocab_size`)
   */
  prunedVocabulary(idsUsed: Iterable<number>, fullSize: number): Vocabulary {
    return Vocabulary.of(idsToKeep(this.#files, idsUsed), fullSize);
  }

  /** The tokenizer of a model with that pruned vocabulary; its ids are the compact ones. */
  withVocabulary(vocabulary: Vocabulary): Tokenizer {
    return new Tokenizer(pruneTokenizerFiles(this.#files, vocabulary));
  }

  /** One more than the largest id. */
  get size(): number {
    return this.#tokens.size;
  }

  /** The id that follows every document in training; see {@linkcode DocumentMarks}. */
  get endOfDocument(): number {
    return this.#marks.endOfDocument;
  }

  /** The id that fills blocks in training. */
  get padding(): number {
    return this.#marks.padding;
  }

  /** Ids that end a text: those of the end of a document and of a turn, and of `<|endoftext|>`. */
  get stopIds(): number[] {
    const { endOfDocument, padding } = this.#marks;
    const ids = [
      endOfDocument,
      // Qwen fills blocks with <|endoftext|>, which ends texts as well.
      ...this.#tokens.find("<|endoftext|>") === padding ? [padding] : [],
      this.#template?.endOfTurn,
    ];
    return [...new Set(ids.filter((id) => id !== undefined))];
  }

  /** Ids of tokens that no text contains; see {@linkcode Vocabulary.expandHead}. */
  get impossibleIds(): number[] {
    return IMPOSSIBLE_BYTES.map((byte) => this.#tokens.idOf(BYTE_TOKENS[byte]));
  }

  /**
   * The ids of a text. Added tokens written out in it, such as `<|im_end|>`, become those tokens;
   * nothing is put before or after it.
   */
  encode(text: string): number[] {
    return this.#encoder.encode(text);
  }

  /** The ids of a text that is to be continued, with what the tokenizer puts before it, such as `<s>`. */
  encodePrompt(text: string): number[] {
    return [...this.#marks.before, ...this.encode(text)];
  }

  /**
   * The id after which a document begins: what the tokenizer puts before a text, else the token that
   * ends the document before it in training.
   */
  get documentStart(): number {
    return this.#marks.before.at(-1) ?? this.#marks.endOfDocument;
  }

  /**
   * The ids of a chat up to the answer that is to be written, by the checkpoint's own template.
   *
   * @throws UserError if there is no template, or if it refuses the chat
   */
  encodeChat(messages: readonly ChatMessage[]): number[] {
    return this.encode(this.#chatTemplate.render(messages, { addGenerationPrompt: true }));
  }

  /** Whether the chat template takes a system message. @throws UserError if there is no template */
  get takesSystem(): boolean {
    return this.#chatTemplate.takesSystem;
  }

  /**
   * The prompts and answers of a conversation, by the checkpoint's own template.
   *
   * @throws UserError if there is no template, or if it refuses the conversation
   */
  encodeTurns(conversation: Conversation): EncodedTurn[] {
    return this.#chatTemplate.encodeTurns(conversation, this);
  }

  /** The text of ids. Bytes that are not UTF-8 become U+FFFD; ids without a token add nothing. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const cleanUp = this.#files.config.clean_up_tokenization_spaces === true;
    if (!this.#bytes || cleanUp) {
      return this.#libraryTokenizer.decode(
        Array.from(ids).filter((id) => this.#isShown(id, options)),
        cleanUp,
      );
    }
    const stream = this.createDecodeStream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  /** Starts decoding a text whose tokens come one at a time. Spaces are left as they are. */
  createDecodeStream({ after = [], ...options }: DecodeStreamOptions = {}): DecodeStream {
    const stream = this.#bytes?.stream() ??
      new WindowStream(
        this.#libraryTokenizer,
        after.slice(-CONTEXT).filter((id) => this.#isShown(id, options)),
      );
    return {
      push: (id) => this.#isShown(id, options) ? stream.push(id) : "",
      flush: () => stream.flush(),
    };
  }

  /** The files to store with a checkpoint, by name, so that it loads here and in transformers. */
  files(): Record<string, string> {
    return { ...this.#files.texts() };
  }

  #isShown(id: number, { skipSpecial = false }: DecodeOptions): boolean {
    if (this.#tokens.tokenOf(id) === undefined) return false;
    return !(skipSpecial && this.#tokens.added.get(id)?.special);
  }

  get #libraryTokenizer(): LibraryTokenizer {
    return this.#library ??= new LibraryTokenizer(this.#files);
  }

  get #chatTemplate(): ChatTemplate {
    if (this.#template) return this.#template;
    throw new UserError(
      `${this.#files.name}: this checkpoint has no chat template, so that it cannot chat or learn to ` +
        `answer; expected chat_template.jinja, or "chat_template" in tokenizer_config.json`,
    );
  }
}

/** Whether a decoder of `tokenizer.json` only turns characters into bytes. */
function isByteLevel(decoder: unknown): boolean {
  return isRecord(decoder) && decoder.type === "ByteLevel";
}
