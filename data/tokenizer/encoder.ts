/** Turns text into token ids. Every tokenizer of this repository does. */
export interface Encoder {
  /**
   * The ids of a text. Added tokens written out in it, such as `<|im_end|>`, become those tokens;
   * nothing is put before or after it.
   */
  encode(text: string): number[];
}
