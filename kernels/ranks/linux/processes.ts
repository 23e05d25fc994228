import { listSystemFolder, readSystemFile } from "./libc.ts";

/** A process as /proc tells of it. */
export interface Process {
  /** Its number. */
  readonly pid: number;
  /** Name of its program, cut to 15 bytes. */
  readonly name: string;
}

/** The processes that descend from one. */
export function descendants(ancestor: number): Process[] {
  const processes = listSystemFolder("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => {
    // "pid (name) state parent ...", where the name may hold anything.
    const stat = new TextDecoder().decode(readSystemFile(`/proc/${pid}/stat`));
    const end = stat.lastIndexOf(")");
    const name = stat.slice(stat.indexOf("(") + 1, end);
    return { pid: Number(pid), name, parent: Number(stat.slice(end + 2).split(" ")[1]) };
  });
  const below = (parent: number): typeof processes =>
    processes.filter((child) => child.parent === parent)
      .flatMap((child) => [child, ...below(child.pid)]);
  return below(ancestor);
}
