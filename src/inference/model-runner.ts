import type { ModelFile } from '../catalog/model-file.ts'
import type { WorkLane } from '../core/work.ts'
import type { LanguageModel } from '../generate/text-generator.ts'
import type { Generation, Models, ResolvedModel, Runner, RunResult } from '../serving/serving.ts'
import type { Run, TaskModel } from '../tasks/task.ts'
import type { CallContext } from './call.ts'
import { chargedTokens } from './charged-tokens.ts'

/** A model that the caller may run, and what runs it for this request. */
export interface AdmittedModel {
  readonly model: ResolvedModel
  readonly runner: Runner
}

/** What reading a model's files and the slow parts of a request take. */
export interface RunnerDeps {
  readonly serving: Models
  readonly lane: WorkLane
  readonly randomId: () => string
}

/** What tasks and writers need to run a model for one request, with a memory of where it ran last. */
export class ModelRunner {
  readonly model: TaskModel & LanguageModel
  readonly #serving: Models
  readonly #admitted: AdmittedModel
  readonly #context: CallContext
  #last: RunResult | Generation | undefined

  constructor({ serving, lane, randomId }: RunnerDeps, admitted: AdmittedModel, context: CallContext) {
    const { model, runner } = admitted
    this.#serving = serving
    this.#admitted = admitted
    this.#context = context
    const writes: LanguageModel = {
      manifest: model.manifest,
      file: (file) => serving.file(model, file, context),
      checkCost: (runs) => runner.checkCost(model, runs, context),
      perform: (work, cost) => lane.perform(work, context.signal, cost),
      mostNewTokens: context.ledger?.bounds?.maxTokens,
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

  /** Begins to read what the request is going to need: its model's weights, where they run here, and these files. */
  prefetch(files: readonly ModelFile[]): void {
    const { model, runner } = this.#admitted
    // The files are needed first, and a request has few connections.
    this.#serving.prefetchFiles(model, files, this.#context)
    runner.prefetch(model, this.#context)
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

  readonly run: Run = async (inputs, outputs) => {
    const { model, runner } = this.#admitted
    const { ledger } = this.#context
    const result = await chargedTokens(ledger, inputs, () => runner.run(model, inputs, outputs, this.#context))
    this.#last = result
    return result.outputs
  }
}
