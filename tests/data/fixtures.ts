/** Reads a file of `fixtures/` that holds one JSON value a line. */
export async function readJsonLines<T>(name: string): Promise<T[]> {
  const text = await Deno.readTextFile(new URL(`fixtures/${name}`, import.meta.url));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}
