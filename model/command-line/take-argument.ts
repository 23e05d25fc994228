import { UserError } from "../../kernels/runtime/user-error.ts";

/**
 * Takes `NAME=VALUE` or `NAME VALUE` out of arguments, for commands that read the others differently.
 *
 * @param name with its dashes
 * @throws UserError if it is given twice
 */
export function takeArgument(
  args: readonly string[],
  name: string,
): { args: string[]; value: string | undefined } {
  const isIt = (arg: string) => arg === name || arg.startsWith(`${name}=`);
  const at = args.findIndex(isIt);
  if (at < 0) return { args: [...args], value: undefined };
  const isJoined = args[at] !== name;
  const rest = args.toSpliced(at, isJoined ? 1 : 2);
  if (rest.some(isIt)) throw new UserError(`${name} is given twice`);
  return { args: rest, value: isJoined ? args[at].slice(name.length + 1) : args[at + 1] ?? "" };
}
