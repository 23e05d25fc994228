import { join } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { WholeFile } from "../../data/files/whole-file.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { describeMemory, formatBytes, type MemoryReport } from "../../kernels/runtime/memory.ts";
import { formatJson } from "../../data/files/json.ts";
import type { Parameters } from "../../model/network/parameters.ts";

/**
 * Writes the facts of a run that its report shows, `facts.json`: device, memory, machine, versions
 * and the mixture of its data.
 *
 * @param tokensBySource number of tokens from each source of the text
 */
export async function keepFacts(
  dir: string,
  gpu: Gpu,
  parameters: Parameters,
  memory: MemoryReport,
  tokensBySource?: Readonly<Record<string, number>>,
): Promise<void> {
  const { name, implementation } = gpu.capabilities;
  const { deno, v8, typescript } = Deno.version;
  const facts = {
    device: `${name}, ${implementation === "dawn" ? "Dawn" : "Deno's own WebGPU"}`,
    precision: parameters.mixed ? "mixed (f16 and f32)" : "f32",
    parameters: parameters.count.toLocaleString("en"),
    memory: describeMemory(memory),
    machine: describeMachine(),
    versions:
      `${project.name} ${project.version}, Deno ${deno}, V8 ${v8}, TypeScript ${typescript}`,
    ...(tokensBySource && { tokensBySource }),
  };
  await WholeFile.write(join(dir, "facts.json"), formatJson(facts));
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
