import type { CallContext } from '../core/runtime.ts'
import type { LanguageModel } from '../generate/writer.ts'
import type { Generation, ResolvedModel } from '../serving/serving.ts'
import type { AppDeps } from './app-env.ts'
import { setPlacement } from './placement.ts'

/** What writing needs of the serving side for one request, with a memory of where it was written. */
export class LanguageRunner {
  readonly model: LanguageModel
  #last: Generation | undefined

  constructor(
    { lane, randomId, serving }: Pick<AppDeps, 'lane' | 'randomId' | 'serving'>,
    resolved: ResolvedModel,
    context: CallContext,
  ) {
    this.model = {
      manifest: resolved.manifest,
      file: (name, parse) => serving.file(resolved, name, parse, context),
      afford: (runs) => serving.afford(resolved, runs, context),
      perform: (work, price) => lane.perform(work, context.signal, price),
      generate: async (prompt, options) => {
        const generation = await serving.generate(resolved, prompt, options, context)
        this.#last = generation
        return generation
      },
      randomId,
    }
  }

  /** OpenAI's `system_fingerprint`: of the weights, where they are ours. */
  get fingerprint(): string | undefined {
    const artifact = this.#last?.artifact
    return artifact && `fp_${artifact.sha256.slice(0, 10)}`
  }

  /** Says on the answer where it was computed. */
  mark(response: Response): Response {
    if (this.#last !== undefined) setPlacement(response.headers, this.#last)
    return response
  }
}
