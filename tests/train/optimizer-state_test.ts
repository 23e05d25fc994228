/** AdamW's moments in checkpoints: by published parameter, and as the first format kept them. */
import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { pretrain } from "../../train/pretrain.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { result } from "./child-run.ts";
import { tinySettings } from "./tiny-run.ts";
import { openCheckpoint, openSafetensors } from "../../model/host/open-checkpoint.ts";
import { writeSafetensors } from "../../model/host/write-safetensors.ts";

/** Names whose numbers the first format kept in one tensor under the first name, for two experts. */
const STACKED = [
  ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
  ["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"],
  ...[["gate_up_proj", "up_proj"], ["gate_down_proj", "down_proj"]].map((names) =>
    [0, 1].flatMap((expert) => names.map((name) => `mlp.experts.${expert}.${name}.weight`))
  ),
];

/** Rewrites a checkpoint's moments and state as the first format had them. */
async function writeFirstFormat(checkpoint: string): Promise<void> {
  const path = `${checkpoint}/optimizer.safetensors`;
  const tensors = new Map<string, { shape: number[]; values: Float32Array }>();
  using file = await openSafetensors(path);
  for (const name of file.tensors.keys()) {
    const [, prefix, own] = /^(.*layers\.\d+\.)?(.*)$/.exec(name)!;
    const stack = STACKED.find((names) => names.includes(own)) ?? [own];
    if (own !== stack[0]) continue;
    const values = [];
    for (const each of stack) values.push(...await file.readFloat32(`${prefix ?? ""}${each}`));
    const shape = stack.length > 1 ? [values.length] : [...file.info(name).shape];
    tensors.set(name, { shape, values: Float32Array.from(values) });
  }
  await writeSafetensors(
    path,
    [...tensors].map(([name, { shape }]) => ({ name, shape, dtype: "F32" })),
    (name) => tensors.get(name)!.values,
  );
  const state = JSON.parse(await Deno.readTextFile(`${checkpoint}/training-state.json`));
  delete state.format;
  await Deno.remove(`${checkpoint}/checksums.json`); // came later
  await Deno.writeTextFile(`${checkpoint}/training-state.json`, JSON.stringify(state));
}

Deno.test("moments are kept by published parameter; a checkpoint of the first format goes on", () =>
  inTemporaryFolder(async (dir) => {
    const run = async (...more: string[]) =>
      (await pretrain(await tinySettings(dir, "--train.steps=4", ...more)))!.close();
    const checkpoint = (step: number) => `${dir}/run/checkpoints/step-000000${step}`;
    await run();
    const whole = await result(`${dir}/run`, 4);
    {
      using saved = await openCheckpoint(checkpoint(4));
      using moments = await openSafetensors(`${checkpoint(4)}/optimizer.safetensors`);
      assertEquals(
        new Map([...moments.tensors].map(([name, { shape }]) => [name, shape])),
        new Map(
          parameterShapes(saved.config).flatMap(({ name, shape }) => [
            [`mean.${name}`, shape],
            [`square.${name}`, shape],
          ]),
        ),
      );
    }
    await Deno.remove(checkpoint(4), { recursive: true });
    await writeFirstFormat(checkpoint(2));
    await run();
    assertEquals(await result(`${dir}/run`, 4), whole);

    await Deno.remove(`${checkpoint(4)}/checksums.json`);
    const path = `${checkpoint(4)}/training-state.json`;
    const state = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...state, format: 3 }));
    await assertRejects(
      () => run(),
      UserError,
      `${path}: "format" is 3, but this version of the program knows formats up to 2`,
    );
  }));
