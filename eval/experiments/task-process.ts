import project from "../../deno.json" with { type: "json" };
import { Stopped, StopSignals } from "../../kernels/host/stop-signals.ts";
import { startableEnvironment } from "../../kernels/host/startable-environment.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/**
 * Runs a task of this program as a process of its own, with the permissions of that task, and waits for
 * its end. What stops this process stops that one too, which keeps what it has finished.
 *
 * @throws {Stopped} if it was stopped
 * @throws {UserError} if it failed; it has said why
 */
export async function runTask(task: keyof typeof project.tasks, args: string[]): Promise<void> {
  const [command, ...words] = project.tasks[task].command.split(" ");
  using stop = new StopSignals(() => {}, () => {});
  stop.listen();
  const child = start(command, [...words, ...args]);
  const forward = () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
  };
  stop.signal.addEventListener("abort", forward);
  const { code } = await child.status;
  stop.signal.removeEventListener("abort", forward);
  if (stop.signal.aborted) throw stop.signal.reason as Stopped;
  if (code >= 129) throw new Stopped(`the command ${task} was stopped`, code);
  if (code !== 0) {
    throw new UserError(
      `deno task ${task} ended with status ${code}: see above. What is finished is kept: the same ` +
        `command goes on from there.`,
    );
  }
}

function start(command: string, args: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(command, { args, env: startableEnvironment(), stdin: "null" }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError(
      `An experiment runs the other commands by ${command}, which is not on PATH. Put the folder of ` +
        `${Deno.execPath()} there.`,
    );
  }
}
