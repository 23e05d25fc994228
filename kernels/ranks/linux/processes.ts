import { listSystemFolder, readSystemFile } from "./libc.ts";

/** A process as /proc tells of it. */
export interface Process {
  /** Its number. */
  readonly pid: number;
  /** Name of its program, cut to 15 bytes. */
  readonly name: string;
}

/** Seconds of processor time that a process has used. */
export interface ProcessorTime {
  /** Of the thread that runs JavaScript. */
  readonly main: number;
  /** Of all others. */
  readonly others: number;
}

/** Ticks of the clock that /proc counts in, in a second. */
const CLOCK_TICKS = 100;
/** Where a line of /proc/PID/stat has the time in user code and in the kernel, after the name. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/** Processor time of a process so far; NaN if it cannot be seen. */
export function processorTime(pid: number): ProcessorTime {
  const seconds = (path: string) => {
    const [user, system] = [USER_TIME, SYSTEM_TIME].map((at) => Number(fieldsOf(path).fields[at]));
    return (user + system) / CLOCK_TICKS;
  };
  const main = seconds(`/proc/${pid}/task/${pid}/stat`);
  return { main, others: seconds(`/proc/${pid}/stat`) - main };
}

/** "pid (name) state parent ...", where the name may hold anything. */
function fieldsOf(path: string): { name: string; fields: string[] } {
  const stat = new TextDecoder().decode(readSystemFile(path));
  const end = stat.lastIndexOf(")");
  return {
    name: stat.slice(stat.indexOf("(") + 1, end),
    fields: stat.slice(end + 2).split(" "),
  };
}

/** The processes that descend from one. */
export function descendants(ancestor: number): Process[] {
  const processes = listSystemFolder("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => {
    const { name, fields } = fieldsOf(`/proc/${pid}/stat`);
    return { pid: Number(pid), name, parent: Number(fields[1]) };
  });
  const below = (parent: number): typeof processes =>
    processes.filter((child) => child.parent === parent)
      .flatMap((child) => [child, ...below(child.pid)]);
  return below(ancestor);
}
