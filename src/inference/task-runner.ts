import type { CallContext } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { WorkLane } from '../core/work.ts'
import type { Models, RunResult } from '../serving/serving.ts'
import type { TaskModel } from '../tasks/task.ts'
import type { AdmittedModel } from './infer.ts'

/** What reading a model's files and the slow parts of a task take. */
export interface RunnerDeps {
  readonly serving: Models
  readonly lane: WorkLane
}

/** What a task needs to run a model for one request, with a memory of where its last run was made. */
export class TaskRunner {
  readonly model: TaskModel
  readonly #admitted: AdmittedModel
  readonly #context: CallContext
  #last: RunResult | undefined

  constructor({ serving, lane }: RunnerDeps, admitted: AdmittedModel, context: CallContext) {
    const { model, runner } = admitted
    this.#admitted = admitted
    this.#context = context
    this.model = {
      manifest: model.manifest,
      ...(runner.place && { place: runner.place }),
      file: (name, parse) => serving.file(model, name, parse, context),
      checkCost: (runs) => runner.checkCost(model, runs, context),
      perform: (work, cost) => lane.perform(work, context.signal, cost),
    }
  }

  /** Where the last run was made; undefined before the first. */
  get lastRun(): RunResult | undefined {
    return this.#last
  }

  readonly run = async (inputs: Tensors): Promise<Tensors> => {
    const { model, runner } = this.#admitted
    this.#last = await runner.run(model, inputs, undefined, this.#context)
    return this.#last.outputs
  }
}
