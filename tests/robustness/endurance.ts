/** Training, loading and generating in turn, in one process, for as long as is wished: memory stays. */
import { fileURLToPath } from "node:url";
import { broken, type Campaign } from "./campaign.ts";
import { ROOT } from "./commands.ts";

/** What a turn measured, in bytes but for files: open file descriptors. */
interface Turn {
  resident: number;
  heap: number;
  files: number;
}

/** Of the second quarter's median, what the last quarter's may have more: drivers and V8 keep spare room. */
const GROWTH = { resident: 0.1, heap: 0.1, files: 0 };

/** @param seconds how long; below a minute there are too few turns to tell growth from warming up */
export function endurance(work: string, seconds: number): Campaign {
  return {
    name: "endurance",
    atOnce: 1,
    tries: [{ kind: `train, load, generate for ${seconds} s`, index: 0 }],
    async attempt() {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...[
            "run",
            "--quiet",
            `--config=${ROOT}deno.json`,
            "--allow-all",
            "--v8-flags=--expose-gc",
          ],
          fileURLToPath(new URL("endurance-child.ts", import.meta.url)),
          ...[work, String(seconds)],
        ],
      }).output();
      const lines = new TextDecoder().decode(stdout).split("\n").filter((line) =>
        line.startsWith("{")
      );
      const turns: Turn[] = lines.map((line) => JSON.parse(line));
      if (!success) {
        return broken("memory does not grow", new TextDecoder().decode(stderr).slice(0, 500));
      }
      const names = Object.keys(GROWTH) as (keyof Turn)[];
      const grown = names.filter((name) =>
        isGrowing(turns.map((turn) => turn[name]), GROWTH[name])
      );
      const words = `${turns.length} turns; ` + names.map((name) => {
        const values = turns.map((turn) => turn[name]);
        return `${name} ${inWords(quarter(values, 1))} to ${inWords(quarter(values, 3))}`;
      }).join(", ");
      if (grown.length === 0) return { outcome: "equal", words };
      return broken("memory does not grow", `${words}: ${grown.join(", ")}`);
    },
    async [Symbol.asyncDispose]() {},
  };
}

function isGrowing(values: number[], share: number): boolean {
  return values.length >= 8 && quarter(values, 3) > quarter(values, 1) * (1 + share);
}

/** The median of a quarter, the first being 0. */
function quarter(values: number[], which: number): number {
  const length = values.length / 4;
  const part = values.slice(Math.floor(which * length), Math.ceil((which + 1) * length));
  return part.toSorted((a, b) => a - b)[part.length >> 1] ?? 0;
}

function inWords(value: number): string {
  return value < 1e4 ? String(value) : `${(value / 1e6).toFixed(0)} MB`;
}
