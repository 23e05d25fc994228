import { aloneOn, type Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import { RoutingUse } from "../../kernels/soft-moe/routing-use.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { dividingLayers } from "../../model/network/config.ts";
import { transformer } from "../../model/network/transformer.ts";
import { ownPart } from "../batches/own-part.ts";
import {
  type MicroBatch,
  type MicroBatchInputs,
  microBatchInputs,
  type Room,
  uploadMicroBatch,
} from "./micro-batch.ts";
import type { Objective } from "./objective.ts";
import { sumOver } from "./sum-over-ranks.ts";

/** The forward half of a training step: an objective over what is held out. */
export class HeldOutLoss {
  private constructor(
    private readonly gpu: Gpu,
    private readonly objective: Objective,
    private readonly inputs: MicroBatchInputs,
    private readonly loss: Tensor,
    private readonly plan: Plan,
    private readonly use: RoutingUse | undefined,
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
    const dividing = dividingLayers(parameters.config);
    const use = dividing && new RoutingUse(graph, dividing.layers, dividing.ways);
    const hidden = transformer({ ...inputs.batch, use }, parameters);
    objective.record({ ...inputs, hidden, head: parameters.head }, loss);
    const plan = await new Draft(graph).build(gpu);
    return new HeldOutLoss(gpu, objective, inputs, loss, plan, use);
  }

  /**
   * Means over the targets of the micro-batches, with the present values of the parameters.
   *
   * @param ranks of which each computes a part of the micro-batches
   */
  async run(
    microBatches: readonly MicroBatch[],
    ranks: Communicator = aloneOn(""),
  ): Promise<Record<string, number>> {
    const targets = microBatches.reduce((sum, each) => sum + this.objective.targets(each), 0);
    upload(this.gpu, this.loss, new Float32Array(1));
    for (const microBatch of ownPart(microBatches, ranks)) {
      uploadMicroBatch(this.gpu, this.inputs, microBatch);
      this.objective.upload(this.gpu, microBatch, 1 / Math.max(1, targets));
      this.plan.run();
    }
    const total = sumOver(ranks);
    const [loss] = await total(await download(this.gpu, this.loss));
    return { loss, ...await this.objective.measures(this.gpu, total) };
  }

  /**
   * How the layers divided the tokens of the last run among slots or experts, by name and layer:
   * entropies of combine and dispatch, from 0 to 1; how often the least used one was used, in parts of
   * a fair share; and how often the most used one was, in parts of what is too often.
   *
   * @param ranks those of the last run
   */
  async routing(ranks: Communicator = aloneOn("")): Promise<Record<string, number>> {
    const layers = await this.use?.read(this.gpu, sumOver(ranks)) ?? [];
    return Object.fromEntries(
      layers.flatMap(({ combineEntropy, dispatchEntropy, shares }, layer) => {
        const tooMuch = (1 + 1 / shares.length) / 2;
        const measured = {
          combineEntropy,
          dispatchEntropy,
          leastUse: Math.min(...shares) * shares.length,
          mostUse: Math.max(...shares) / tooMuch,
        };
        return Object.entries(measured).filter(([, value]) => Number.isFinite(value))
          .map(([name, value]) => [`${name}.${layer}`, Number(value.toPrecision(4))]);
      }),
    );
  }

  /** Frees all but the parameters. */
  destroy(): void {
    this.plan.destroy();
  }
}
