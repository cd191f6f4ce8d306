import type { CallContext } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { ResolvedModel, RunResult, Serving } from '../serving/serving.ts'
import type { TaskModel } from '../tasks/task.ts'
import type { AppDeps } from './app-env.ts'
import { setPlacement } from './placement.ts'

/** What a task needs of the serving side for one request, with a memory of where its last run was made. */
export class TaskRunner {
  readonly model: TaskModel
  readonly #serving: Serving
  readonly #resolved: ResolvedModel
  readonly #context: CallContext
  #last: RunResult | undefined

  constructor({ serving, lane }: Pick<AppDeps, 'serving' | 'lane'>, resolved: ResolvedModel, context: CallContext) {
    this.#serving = serving
    this.#resolved = resolved
    this.#context = context
    this.model = {
      manifest: resolved.manifest,
      ...(serving.place && { place: serving.place }),
      file: (name, parse) => serving.file(resolved, name, parse, context),
      afford: (runs) => serving.afford(resolved, runs, context),
      perform: (work, price) => lane.perform(work, context.signal, price),
    }
  }

  readonly run = async (inputs: Tensors): Promise<Tensors> => {
    this.#last = await this.#serving.run(this.#resolved, inputs, undefined, this.#context)
    return this.#last.outputs
  }

  /** Says on the answer where it was computed. */
  mark(response: Response): Response {
    if (this.#last !== undefined) setPlacement(response.headers, this.#last)
    return response
  }
}
