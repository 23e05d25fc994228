import project from "../../deno.json" with { type: "json" };
import { currentCommit } from "../../data/files/commit.ts";

/** This program and what runs it, such as `@steel/steel-llm 0.1.0, commit 1a2b3c4, Deno 2.9.6`. */
export async function programVersion(): Promise<string> {
  const commit = await currentCommit();
  return [
    `${project.name} ${project.version}`,
    ...commit === undefined ? [] : [`commit ${commit.slice(0, 12)}`],
    `Deno ${Deno.version.deno}`,
  ].join(", ");
}
