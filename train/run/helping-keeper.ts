import type { Parameters } from "../../model/network/parameters.ts";
import type { TrainingStep } from "../step/training-step.ts";
import type { RunKeeper, Saving } from "./run-keeper.ts";
import { helpToSave } from "../checkpoint/training-checkpoint.ts";

/** What ranks other than the first do instead of keeping a run: they help that one to save it. */
export class HelpingKeeper implements RunKeeper, Disposable {
  /** One for each run. */
  constructor(
    private readonly parameters: Parameters,
    private readonly step: TrainingStep,
    private readonly dir: string,
  ) {}

  keep(): void {}

  async save(): Promise<Saving> {
    await helpToSave(this.parameters, this.step);
    return { written: Promise.resolve(this.dir) };
  }

  [Symbol.dispose](): void {}
}
