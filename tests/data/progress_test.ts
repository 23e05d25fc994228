import { assertEquals } from "@std/assert";
import { Pace } from "../../data/progress/pace.ts";
import { progressText } from "../../data/progress/progress-display.ts";
import { timeText } from "../../data/progress/time-text.ts";

Deno.test("progress: a duration, in its two largest units", () => {
  const expected = { 0.2: "0s", 45: "45s", 60: "1m00s", 185: "3m05s", 9000: "2h30m" };
  for (const [seconds, text] of Object.entries(expected)) {
    assertEquals(timeText(Number(seconds)), text);
  }
  assertEquals(timeText(4 * 86400 + 2 * 3600 + 59), "4d02h");
});

Deno.test("progress: the first two updates predict nothing once there is a third", () => {
  const pace = new Pace(0, 0);
  const seconds = [60, 70, 71, 72].map((now, i) => {
    pace.update(i + 1, 1000 * now);
    return pace.secondsTo(100);
  });
  assertEquals(seconds, [60 * 99, 10 * 98, 97, 96]);
});

Deno.test("progress: one slow update among many, or many at once, move the rate by their share", () => {
  const pace = new Pace(0, 0);
  // One unit a second; the tenth takes eleven seconds, which the last twenty updates level.
  const timeOf = (unit: number) => 1000 * (unit < 10 ? unit : unit + 10);
  for (let unit = 1; unit <= 25; unit++) pace.update(unit, timeOf(unit));
  assertEquals(pace.rate, 20 / 30);

  const busy = new Pace(0, 0);
  for (let unit = 1; unit <= 60_000; unit++) busy.update(unit, unit);
  assertEquals(busy.rate, 1000);
});

Deno.test("progress: counts, rate, status and time left in one line", () => {
  const task = { task: "ceval", total: 1346, unit: "questions", status: "7,300 tokens/s" };
  const pace = new Pace(100, 0);
  assertEquals(progressText({ ...task, done: 100, status: "" }, pace), "ceval 100/1346");
  pace.update(350, 20_000);
  assertEquals(
    progressText({ ...task, done: 350 }, pace),
    "ceval 350/1346  12.5 questions/s  7,300 tokens/s  1m20s left",
  );

  const bytes = { task: "cleaning", total: 5e8, unit: "bytes", status: "0.jsonl, 9 documents" };
  const reading = new Pace(0, 0);
  reading.update(1.2e8, 10_000);
  assertEquals(
    progressText({ ...bytes, done: 1.2e8 }, reading),
    "cleaning 120.0/500.0 MB  12.0 MB/s  0.jsonl, 9 documents  32s left",
  );
});
