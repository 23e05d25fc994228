import { readFully } from "../files/read-fully.ts";
import type { WorkFolder } from "../files/work-folder.ts";
import type { TokenizedFile } from "./tokenize-file.ts";

/** The tokens of a source's documents, one document after another. */
export class TokenStream {
  readonly tokens: number;
  readonly #files: TokenizedFile[];
  readonly #work: WorkFolder;
  readonly #lengths: Generator<number>;
  #open: Deno.FsFile | undefined;

  constructor(files: TokenizedFile[], work: WorkFolder) {
    this.#files = files;
    this.#work = work;
    this.tokens = files.reduce((sum, { tokens }) => sum + tokens, 0);
    this.#lengths = this.lengths((file) => {
      this.close();
      this.#open = Deno.openSync(work.file(`${file.name}.tokens`));
    });
  }

  /** Tokens of each document, in order. */
  *lengths(onFile: (file: TokenizedFile) => void = () => {}): Generator<number> {
    for (const file of this.#files) {
      onFile(file);
      using input = Deno.openSync(this.#work.file(`${file.name}.lengths`));
      const lengths = new Uint32Array(1 << 14);
      for (let left = file.documents; left > 0;) {
        const part = lengths.subarray(0, Math.min(left, lengths.length));
        readFully(input, new Uint8Array(part.buffer, 0, part.byteLength));
        yield* part;
        left -= part.length;
      }
    }
  }

  /** The next document's tokens; there must be one. */
  next(): Int32Array {
    const tokens = new Int32Array(this.#lengths.next().value);
    readFully(this.#open!, new Uint8Array(tokens.buffer));
    return tokens;
  }

  close(): void {
    this.#open?.close();
    this.#open = undefined;
  }
}
