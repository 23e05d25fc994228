import { createHash } from "node:crypto";
import { join } from "node:path";
import { sumInWords } from "../../data/files/checksum.ts";
import { type RankFacts, requireSame } from "../../kernels/ranks/agree.ts";
import type { Communicator } from "../../kernels/ranks/communicator.ts";
import { programVersion } from "../../model/host/program-version.ts";
import type { TrainingStage } from "./stage.ts";

/**
 * Refuses ranks that would not train the same run: with another program, other settings, another
 * model, from other weights, on other data or from another step. A line of text tells of GPUs of
 * another kind. All ranks call it.
 *
 * @param say called with a line of text about GPUs
 * @throws UserError naming the rank, what it has and what rank 0 has
 */
export async function requireSameRun(
  ranks: Communicator,
  stage: TrainingStage,
  say: (text: string) => void,
): Promise<void> {
  if (ranks.size === 1) return;
  const { name, dir, begun, gpu, parameters, base, source, room, training, loss, heldOut } = stage;
  const { adaptation } = parameters;
  const facts: RankFacts = {
    program: await programVersion(),
    stage: name,
    "run.dir": dir,
    ...ofSection("train", training),
    ...ofSection("loss", loss),
    precision: parameters.mixed ? "mixed" : "f32",
    parameters: parameters.count,
    model: digest(parameters.config),
    // Of two adapters of the same size, one may have another alpha.
    adapter: adaptation && digest([[...adaptation.modules], adaptation.dropout]),
    ...Object.fromEntries(
      Object.entries(base?.weights ?? {})
        .map(([file, sum]) => [join(base!.path, file), sumInWords(sum)]),
    ),
    room: JSON.stringify(room),
    step: begun?.state.step ?? 0,
    "training data": digest(source.position()),
    "held-out data": digest(heldOut.map(({ inputs }) => inputs.map((ids) => Array.from(ids)))),
  };
  const { name: device, implementation } = gpu.capabilities;
  await requireSame(ranks, facts, { GPU: `${device}, ${implementation}` }, say);
}

/** Settings by their whole names. */
function ofSection(section: string, settings: object = {}): RankFacts {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`${section}.${key}`, String(value)]),
  );
}

/** A short hash. */
function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}
