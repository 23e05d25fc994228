import { aloneOn, type Communicator, type ConnectOptions } from "./communicator.ts";
import { startedRank } from "./environment.ts";

/**
 * Connects this process with the other ranks, if `mpirun`, `mpiexec` or `srun` started it as one of
 * several; otherwise it is alone, and neither MPI nor FFI is loaded.
 *
 * Needs `--allow-env` as `startedRank` says, `--allow-sys=hostname`, and `--allow-ffi` with several
 * ranks.
 *
 * @throws UserError on every rank, if MPI is missing or there is too little shared memory, or if
 *   not all ranks have come within 90 seconds
 */
export async function connectRanks(options: ConnectOptions = {}): Promise<Communicator> {
  const started = startedRank();
  if (started === undefined) return aloneOn(Deno.hostname());
  // Imported here, as a process alone has no use for it.
  const { joinRanks } = await import("./join.ts");
  return await joinRanks(started, options);
}
