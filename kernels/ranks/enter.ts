import { UserError } from "../runtime/user-error.ts";
import type { Communicator } from "./communicator.ts";
import type { StartedRank } from "./environment.ts";
import { ownCommandLine } from "./launch.ts";
import { canOpen, cString, libc, listSystemFolder, redirect } from "./linux/libc.ts";

/** Set in the life in which a process sees one GPU. */
const HIDDEN_VARIABLE = "STEEL_GPUS_HIDDEN";

/**
 * Makes a rank out of a process that was started as one; to be called first of all. Only rank 0
 * writes to stdout, and straight to where `launchRanks` writes. Each rank of a
 * host sees one GPU of its own: where it sees more, the process starts anew (same arguments, same
 * process number) in a mount namespace in which the others' device files are /dev/null. Where a
 * scheduler has given each rank its own GPU, or there is none, nothing happens.
 *
 * Needs `--allow-ffi` and `--allow-env=STEEL_GPUS_HIDDEN`.
 *
 * @throws UserError if the host has fewer GPUs than ranks, or GPUs cannot be hidden
 */
export function enterRank(started: StartedRank): void {
  if (started.rank !== 0) redirect(1, "/dev/null");
  else if (started.launcher !== undefined) {
    // What mpirun passes on comes through a terminal of its own, even if it goes to a file.
    for (const descriptor of [1, 2]) {
      redirect(descriptor, `/proc/${started.launcher}/fd/${descriptor}`);
    }
  }
  const gpus = gpusToShareOut();
  if (gpus.length <= 1) return;
  if (started.hostRank >= gpus.length) {
    throw new UserError(
      `Rank ${started.rank} is number ${started.hostRank + 1} on this host, which has ` +
        `${gpus.length} GPUs: start one rank a GPU.`,
    );
  }
  startWithout(gpus.filter((_, i) => i !== started.hostRank));
}

/**
 * Refuses two ranks of a host that see the same GPU, as they would share its memory and its time. All
 * ranks call it, after {@linkcode enterRank}.
 *
 * @throws UserError naming ranks and device
 */
export async function requireOwnGpu(started: StartedRank, ranks: Communicator): Promise<void> {
  const visible = visibleGpus();
  // Those that are hidden are still there, as /dev/null.
  const own = visible[Deno.env.has(HIDDEN_VARIABLE) ? started.hostRank : 0];
  const gpus = await ranks.allGatherText(own ?? "");
  const sharing = ranks.hostRanks.filter((rank) => gpus[rank] === own);
  if (own === undefined || sharing.length === 1) return;
  throw new UserError(
    `ranks ${sharing.join(" and ")} of this host share one GPU, ${own}: start one rank a GPU.`,
  );
}

/**
 * Device files of the GPUs of which each rank of this host is to see one; none on a machine without,
 * and none where they are hidden already. Needs `--allow-ffi` and `--allow-env=STEEL_GPUS_HIDDEN`.
 */
export function gpusToShareOut(): string[] {
  return Deno.env.has(HIDDEN_VARIABLE) ? [] : visibleGpus();
}

/** Device files of NVIDIA's GPUs that this process may open, in the order of their numbers. */
function visibleGpus(): string[] {
  return listSystemFolder("/dev")
    .filter((name) => /^nvidia\d+$/.test(name))
    .sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)))
    .map((name) => `/dev/${name}`)
    .filter(canOpen);
}

/**
 * Starts this program anew in this process, with files hidden behind /dev/null; returns only by
 * throwing. Root can do that, others if users may make namespaces of their own.
 *
 * @throws UserError if neither is possible
 */
export function startWithout(files: readonly string[]): never {
  const names = files.map(quote).join(" ");
  const hide = `for file in ${names}; do mount --bind /dev/null "$file" || exit 1; done`;
  const namespaces = libc().getuid() === 0
    ? [["unshare", "-m"], ["unshare", "-Urm"]]
    : [["unshare", "-Urm"]];
  for (const namespace of namespaces) {
    const works = libc().system(cString(`${namespace.join(" ")} sh -c ${quote(hide)} 2>/dev/null`));
    if (works !== 0) continue;
    // A user namespace makes its user root; a second one gives back who it was.
    const self = `unshare -U --map-user=${libc().getuid()} --map-group=${libc().getgid()} `;
    const mapped = namespace.includes("-Urm") ? self : "";
    const script = `${hide}; ${HIDDEN_VARIABLE}=1 exec ${mapped}"$@"`;
    execute([...namespace, "sh", "-c", script, "sh", ...ownCommandLine()]);
  }
  throw new UserError(
    `Each rank has to see one GPU alone, but this machine lets no mount namespace hide the others: ` +
      `neither \`unshare -m\` nor \`unshare -Urm\` works. Give the container CAP_SYS_ADMIN, allow ` +
      `user namespaces (sysctl kernel.unprivileged_userns_clone=1), or let a scheduler start the ` +
      `ranks with one GPU each (srun --gpus-per-task=1).`,
  );
}

/** Becomes another program. */
function execute(command: string[]): void {
  const strings = command.map(cString);
  const addresses = new BigUint64Array(strings.length + 1);
  strings.forEach((string, i) => {
    // Of its buffer, as V8 may move a short array.
    addresses[i] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(string.buffer)));
  });
  libc().execvp(strings[0], new Uint8Array(addresses.buffer));
  throw new UserError(`${command[0]} could not be started.`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
