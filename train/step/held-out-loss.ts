import type { Gpu } from "../../kernels/runtime/device.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { transformer } from "../../model/network/transformer.ts";
import {
  type MicroBatch,
  type MicroBatchInputs,
  microBatchInputs,
  type Room,
  uploadMicroBatch,
} from "./micro-batch.ts";
import type { Objective } from "./objective.ts";

/** The forward half of a training step: an objective over what is held out. */
export class HeldOutLoss {
  private constructor(
    private readonly gpu: Gpu,
    private readonly objective: Objective,
    private readonly inputs: MicroBatchInputs,
    private readonly loss: Tensor,
    private readonly plan: Plan,
  ) {}

  /**
   * Plans the forward pass over micro-batches that fit into the room.
   *
   * @param objective not that of a training step: an objective is recorded once
   * @throws UserError if the device has too little memory
   */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    room: Room,
    objective: Objective,
  ): Promise<HeldOutLoss> {
    const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
    const inputs = microBatchInputs(graph, room);
    const loss = graph.output("loss", [1]);
    const hidden = transformer(inputs.batch, parameters);
    objective.record({ ...inputs, hidden, head: parameters.head }, loss);
    return new HeldOutLoss(gpu, objective, inputs, loss, await new Draft(graph).build(gpu));
  }

  /** Means over the targets of the micro-batches, with the present values of the parameters. */
  async run(microBatches: readonly MicroBatch[]): Promise<Record<string, number>> {
    const targets = microBatches.reduce((sum, each) => sum + this.objective.targets(each), 0);
    upload(this.gpu, this.loss, new Float32Array(1));
    for (const microBatch of microBatches) {
      uploadMicroBatch(this.gpu, this.inputs, microBatch);
      this.objective.upload(this.gpu, microBatch, 1 / Math.max(1, targets));
      this.plan.run();
    }
    const [loss] = await download(this.gpu, this.loss);
    return { loss, ...await this.objective.measures(this.gpu) };
  }

  /** Frees all but the parameters. */
  destroy(): void {
    this.plan.destroy();
  }
}
