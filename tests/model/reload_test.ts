import { assert, assertEquals } from "@std/assert";
import { relativeError } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { goldenModel } from "./golden-model.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import { loadModel } from "../../model/host/load-model.ts";

for (const name of ["steel-gqa", "dense-swiglu"] as const) {
  Deno.test(`${name}: a folder written and read back gives the same logits, bit for bit`, () =>
    inTemporaryFolder(async (dir) => {
      const { model, config, inputIds, weights } = await goldenModel(name);
      const expected = await model.logits(inputIds);
      for (const maxShardBytes of [undefined, 100_000]) {
        await writeCheckpoint(dir, { config, dtype: "F32", tensors: weights, maxShardBytes });
        const loaded = await loadModel(dir, { precision: "f32" });
        assertEquals(await loaded.logits(inputIds), expected);
        loaded.close();
      }
    }));

  Deno.test(`${name}: 16-bit files give nearly the same logits, and lose nothing more`, () =>
    inTemporaryFolder(async (dir) => {
      const { model, config, inputIds, weights } = await goldenModel(name);
      const expected = await model.logits(inputIds);
      for (const [dtype, tolerance] of [["BF16", 2e-2], ["F16", 2e-3]] as const) {
        await writeCheckpoint(`${dir}/once`, { config, dtype, tensors: weights });
        using once = await openCheckpoint(`${dir}/once`);
        const tensors = (name: string) => once.readFloat32(name);
        await writeCheckpoint(`${dir}/twice`, { config, dtype, tensors });
        const loaded = await loadModel(`${dir}/once`, { precision: "f32" });
        const again = await loadModel(`${dir}/twice`, { precision: "f32" });
        const logits = await loaded.logits(inputIds);
        const error = relativeError(logits, expected);
        assert(error > 0 && error < tolerance, `${dtype}: off by ${error}`);
        assertEquals(await again.logits(inputIds), logits);
        loaded.close();
        again.close();
      }
    }));
}
