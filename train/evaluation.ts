import type { Gpu } from "../kernels/device.ts";
import { Graph } from "../kernels/graph.ts";
import { Draft, type Plan } from "../kernels/plan.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { download, upload } from "../kernels/transfer.ts";
import { type Batch, batchInputs, uploadBatch } from "../model/batch.ts";
import type { Parameters } from "../model/parameters.ts";
import { transformer } from "../model/steel.ts";
import type { Room } from "./example-batches.ts";
import { labelRows } from "./label-rows.ts";
import type { Objective } from "./objective.ts";
import type { MicroBatch } from "./training-step.ts";

/** The forward half of a training step: an objective over what is not trained on. */
export class Evaluation {
  private constructor(
    private readonly gpu: Gpu,
    private readonly objective: Objective,
    private readonly inputs: { batch: Batch; labels: Tensor },
    private readonly loss: Tensor,
    private readonly plan: Plan,
  ) {}

  /** @param objective one of its own: an objective is recorded once */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    room: Room,
    objective: Objective,
  ): Promise<Evaluation> {
    const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
    const batch = batchInputs(graph, room.tokens, room.sequences, room.longest);
    const labels = graph.input("labels", [room.tokens], "u32");
    const loss = graph.output("loss", [1]);
    const hidden = transformer(batch, parameters);
    objective.record({ batch, hidden, head: parameters.head, labels }, loss);
    const plan = await new Draft(graph).build(gpu);
    return new Evaluation(gpu, objective, { batch, labels }, loss, plan);
  }

  /** Means over the targets of the micro-batches, by the parameters as they are now. */
  async run(microBatches: readonly MicroBatch[]): Promise<Record<string, number>> {
    const { batch, labels } = this.inputs;
    const targets = microBatches.reduce((sum, each) => sum + this.objective.targets(each), 0);
    upload(this.gpu, this.loss, new Float32Array(1));
    for (const microBatch of microBatches) {
      uploadBatch(this.gpu, batch, microBatch.inputs);
      upload(this.gpu, labels, labelRows(microBatch.labels, labels.size));
      this.objective.upload(this.gpu, microBatch, 1 / Math.max(1, targets));
      this.plan.run();
    }
    const [loss] = await download(this.gpu, this.loss);
    return { loss, ...await this.objective.measures(this.gpu) };
  }

  destroy(): void {
    this.plan.destroy();
  }
}
