/** A text that a model wrote at the end of its training. */
export interface Sample {
  /** The question that it answers; without one, the text continues a prompt with which it begins. */
  question?: string;
  /** The text. */
  text: string;
}

/** The file of a run's folder that holds the samples. */
export const SAMPLES_FILE = "samples.txt";

/** Between two samples, which may hold empty lines. */
const RULE = "\n\n----\n\n";

/** Samples as the text of their file. */
export function formatSamples(samples: readonly Sample[]): string {
  return samples.map(formatSample).join(RULE) + "\n";
}

/** A sample as a person reads it. */
export function formatSample({ question, text }: Sample): string {
  return question === undefined ? text : `问：${question}\n答：${text}`;
}

/** Samples from the text of their file. */
export function parseSamples(file: string): Sample[] {
  return file.split(/^-{4}$/m).map((text) => text.trim()).filter((text) => text !== "")
    .map((text) => {
      const [, question, answer] = /^问：([^]*?)\n答：([^]*)$/.exec(text) ?? [];
      return question === undefined ? { text } : { question, text: answer };
    });
}
