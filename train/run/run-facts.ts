import { join } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { currentCommit } from "../../data/files/commit.ts";
import { formatJson, parseObject } from "../../data/text/json.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import {
  describeMemory,
  formatBytes,
  type MemoryReport,
  totalBytes,
} from "../../kernels/runtime/memory.ts";
import type { TrainingStage } from "./stage.ts";

/** The file of a run's facts, in its folder. */
export const FACTS_FILE = "facts.json";

/**
 * The facts of a run that its report shows, as {@linkcode FACTS_FILE} keeps them: when it began and with
 * which commit of this program, device, memory, machine, versions, and what is known of its data. A run
 * that continues keeps when it began.
 *
 * @param memory of one GPU
 * @throws UserError if the run continues and the facts of its earlier start are damaged
 */
export async function factsOfRun(
  stage: TrainingStage,
  memory: MemoryReport,
  gpus: number,
): Promise<string> {
  const { dir, begun, gpu, parameters, tokensBySource, unigramEntropy, examBefore } = stage;
  const { name, implementation } = gpu.capabilities;
  const { deno, v8, typescript } = Deno.version;
  const facts = {
    ...(begun
      ? await readFacts(dir)
      : { began: new Date().toISOString(), commit: await currentCommit() }),
    device: `${gpus > 1 ? `${gpus} × ` : ""}${name}, ` +
      (implementation === "dawn" ? "Dawn" : "Deno's own WebGPU"),
    precision: parameters.mixed ? "mixed (f16 and f32)" : "f32",
    parameters: parameters.adaptation ? parameters.summary : parameters.count.toLocaleString("en"),
    memory: (gpus > 1 ? "each " : "") + describeMemory(memory),
    memoryBytes: totalBytes(memory),
    steps: stage.training.steps,
    machine: describeMachine(),
    versions:
      `${project.name} ${project.version}, Deno ${deno}, V8 ${v8}, TypeScript ${typescript}`,
    ...{ tokensBySource, unigramEntropy, examBefore },
  };
  return formatJson(facts);
}

/** Adds facts that are known at the end of a run. */
export async function addFacts(dir: string, facts: Record<string, number | string>): Promise<void> {
  await WholeFile.write(factsPath(dir), formatJson({ ...await readFacts(dir), ...facts }));
}

async function readFacts(dir: string): Promise<Record<string, unknown>> {
  const text = await readIfThere(factsPath(dir));
  return text === undefined ? {} : parseObject(text, factsPath(dir));
}

function factsPath(dir: string): string {
  return join(dir, FACTS_FILE);
}

/** Such as `linux x86_64, 16 cores, 67.2 GB of memory`. */
function describeMachine(): string {
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  const isAllowed = Deno.permissions.querySync(permission).state === "granted";
  return [
    `${Deno.build.os} ${Deno.build.arch}`,
    `${navigator.hardwareConcurrency} cores`,
    ...(isAllowed ? [`${formatBytes(Deno.systemMemoryInfo().total)} of memory`] : []),
  ].join(", ");
}
