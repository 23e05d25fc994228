/**
 * For programs that are started: Deno starts none while one of these is set, as on many machines with
 * GPUs, unless it may start any program. Set to nothing, they count as not set, for the program too.
 */
export const NO_LIBRARY_VARIABLES = { LD_LIBRARY_PATH: "", LD_PRELOAD: "" } as const;
