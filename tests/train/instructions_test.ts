/** What a stage takes of the sets that its settings name. */
import { assertRejects, assertStringIncludes } from "@std/assert";
import { UnusableExample } from "../../data/instructions/conversation.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { takeExamples } from "../../train/batches/instructions.ts";
import { loadSftSettings } from "../../train/settings/sft-settings.ts";

Deno.test("an example that cannot be used is told by its number in the set", async () => {
  for (const set of ["embedded", "embedded: 0.99"]) {
    const { data } = await loadSftSettings([`--data.sets=${set}`]);
    const examples = { embedded: { embedded: () => Promise.resolve([7, 8]) }, read: () => never() };
    const take = () => {
      throw new UnusableExample("too long");
    };
    const { message } = await assertRejects(
      () => takeExamples(data, examples, take, () => {}),
      UserError,
    );
    assertStringIncludes(message, "embedded, example 1: too long");
    assertStringIncludes(message, "embedded, example 2: too long");
  }
});

async function* never(): AsyncGenerator<number> {}
