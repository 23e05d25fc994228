/**
 * Watches the process of `mutation-child.ts` from a thread of its own, also while the other is busy:
 * each message begins a try, and one that takes too much memory or time is told as an answer.
 */
import process from "node:process";
import { ANSWER } from "./campaign.ts";
import { MOST_BYTES, MOST_SECONDS } from "./expectations.ts";

let [memory, time] = [Infinity, Infinity];

function secondsUsed(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function tell(answer: "memory" | "hang"): void {
  [memory, time] = [Infinity, Infinity];
  Deno.stdout.writeSync(new TextEncoder().encode(`\n${ANSWER}${JSON.stringify(answer)}\n`));
}

self.addEventListener("message", () => {
  [memory, time] = [Deno.memoryUsage().rss + MOST_BYTES, secondsUsed() + MOST_SECONDS];
});

setInterval(() => {
  if (Deno.memoryUsage().rss > memory) tell("memory");
  if (secondsUsed() > time) tell("hang");
}, 20);
