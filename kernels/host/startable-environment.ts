/** Variables of the dynamic linker that machines set: of CUDA, of modules and of Spack. */
const LIBRARY_VARIABLES = ["LD_LIBRARY_PATH", "LD_PRELOAD", "LD_RUN_PATH"];

/**
 * What a program that is started must have in its environment. A process that may start some programs
 * only is refused to start even these while a variable of the dynamic linker is set; set to nothing,
 * these count as not set, for the program too. A process that may start any leaves them as they are.
 */
export function startableEnvironment(): Record<string, string> {
  if (Deno.permissions.querySync({ name: "run" }).state === "granted") return {};
  return Object.fromEntries(LIBRARY_VARIABLES.map((name) => [name, ""]));
}
