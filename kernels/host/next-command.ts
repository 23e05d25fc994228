/**
 * A command of this program, as a person types it on this machine: `deno task sft`, or
 * `npx -y deno@2.9.6 task sft` where npx brought Deno for this run alone.
 *
 * @param words the task and its arguments
 * @param deno path of the running Deno
 */
export function taskCommand(words: string[], deno: string = Deno.execPath()): string {
  // npx keeps its programs in a cache of this name, on every system.
  const isByNpx = /[/\\]_npx[/\\]/.test(deno);
  const start = isByNpx ? `npx -y deno@${Deno.version.deno}` : "deno";
  return [start, "task", ...words.map(quoted)].join(" ");
}

/** The last line of a command: what to do with its result. */
export function next(...words: string[]): string {
  return `Next: ${taskCommand(words)}`;
}

/** A word as a shell reads it back. */
function quoted(word: string): string {
  return /^[\p{L}\p{N}_./:=@-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
