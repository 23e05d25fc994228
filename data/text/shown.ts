/** Characters of a value that an error shows. */
const MOST_SHOWN = 100;

/** A value of any kind as an error shows it: JSON, cut after some characters. */
export function shown(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = "a value that JSON cannot hold"; // it contains itself, or is nested very deeply
  }
  return text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN).toWellFormed()} …`;
}
