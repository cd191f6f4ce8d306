import type { CallContext } from '../core/runtime.ts'
import type { LanguageModel } from '../generate/writer.ts'
import type { Generation } from '../serving/serving.ts'
import type { AdmittedModel } from './infer.ts'
import type { RunnerDeps } from './task-runner.ts'

/** What writing needs to run a model for one request, with a memory of where its last text was written. */
export class LanguageRunner {
  readonly model: LanguageModel
  #last: Generation | undefined

  constructor(
    { lane, randomId, serving }: RunnerDeps & { readonly randomId: () => string },
    { model, runner }: AdmittedModel,
    context: CallContext,
  ) {
    this.model = {
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
  }

  /** Where the last text was written; undefined before the first. */
  get lastRun(): Generation | undefined {
    return this.#last
  }

  /** OpenAI's `system_fingerprint`: of the weights, where they are ours. */
  get fingerprint(): string | undefined {
    const artifact = this.#last?.artifact
    return artifact && `fp_${artifact.sha256.slice(0, 10)}`
  }
}
