import type { Tensors } from '../core/tensors.ts'
import type { WorkLane } from '../core/work.ts'
import type { LanguageModel } from '../generate/writer.ts'
import type { Generation, Models, RunResult } from '../serving/serving.ts'
import type { TaskModel } from '../tasks/task.ts'
import type { CallContext } from './call.ts'
import type { AdmittedModel } from './infer.ts'

/** What reading a model's files and the slow parts of a request take. */
export interface RunnerDeps {
  readonly serving: Models
  readonly lane: WorkLane
  readonly randomId: () => string
}

/** What tasks and writers need to run a model for one request, with a memory of where it ran last. */
export class ModelRunner {
  readonly model: TaskModel & LanguageModel
  readonly #admitted: AdmittedModel
  readonly #context: CallContext
  #last: RunResult | Generation | undefined

  constructor({ serving, lane, randomId }: RunnerDeps, admitted: AdmittedModel, context: CallContext) {
    const { model, runner } = admitted
    this.#admitted = admitted
    this.#context = context
    const writes: LanguageModel = {
      manifest: model.manifest,
      file: (name, parse) => serving.file(model, name, parse, context),
      checkCost: (runs) => runner.checkCost(model, runs, context),
      perform: (work, cost) => lane.perform(work, context.signal, cost),
      generate: async (prompt, options) => {
        const generation = await runner.generate(model, prompt, options, context)
        this.#last = generation
        return generation
      },
      randomId,
    }
    this.model = {
      ...writes,
      ...(runner.place && { place: runner.place }),
      language: { model: writes, signal: context.signal },
    }
  }

  /** Where the model ran last, or wrote a text; undefined before. */
  get lastRun(): RunResult | Generation | undefined {
    return this.#last
  }

  /** OpenAI's `system_fingerprint`: of the weights, where they are ours. */
  get fingerprint(): string | undefined {
    const artifact = this.#last?.artifact
    return artifact && `fp_${artifact.sha256.slice(0, 10)}`
  }

  readonly run = async (inputs: Tensors): Promise<Tensors> => {
    const { model, runner } = this.#admitted
    const result = await runner.run(model, inputs, undefined, this.#context)
    this.#last = result
    return result.outputs
  }
}
