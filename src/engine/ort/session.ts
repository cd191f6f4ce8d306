import { isVergeError, VergeError } from '../../core/errors.ts'
import { stepsOfBound } from '../../core/loops.ts'
import { type Signature, selectInputs, selectOutputs, type Tensors } from '../../core/tensors.ts'
import { loopCost, RUNTIME_BYTES, runCost } from '../costs.ts'
import type { ArtifactInfo, GenerateOptions, RunOptions, Session } from '../engine.ts'
import { generateTokens } from '../generate.ts'
import type { RunQueue } from '../run-queue.ts'
import type { OrtInstance } from './instance.ts'
import { Allocations, heapFull, isOutOfMemory, rawError, readTensor, writeTensor } from './marshal.ts'
import { LOG_FATAL, type OrtModule } from './module.ts'
import { runReason } from './reason.ts'
import { freeNames, type NativeSignature } from './signature.ts'
import type { Tenancy } from './tenancy.ts'

export interface OrtHandles {
  readonly session: number
  readonly names: NativeSignature
  /** Address of weights that the session reads in place and that must outlive it; 0 if it has its own copies. */
  readonly weights: number
  readonly tenancy: Tenancy
  /** Inputs of the cost of a run. */
  readonly artifact: ArtifactInfo
  readonly heapLimitBytes: number
}

/** A session inside the wasm instance. */
export class OrtSession implements Session {
  readonly bytes: number
  readonly #instance: OrtInstance
  readonly #runQueue: RunQueue
  readonly #handles: OrtHandles
  readonly #onDispose: () => void
  #disposed = false

  constructor(instance: OrtInstance, runQueue: RunQueue, handles: OrtHandles, bytes: number, onDispose: () => void) {
    this.#instance = instance
    this.#runQueue = runQueue
    this.#handles = handles
    this.bytes = bytes
    this.#onDispose = onDispose
  }

  get signature(): Signature {
    return this.#handles.names.signature
  }

  get alive(): boolean {
    return !this.#disposed && this.#instance.isCurrent(this.#handles.tenancy.generation)
  }

  async run(inputs: Tensors, options: RunOptions): Promise<Tensors> {
    const feeds = selectInputs(this.signature, inputs)
    const fetches = selectOutputs(this.signature, options.outputs)
    const work = (): Tensors => {
      if (this.#disposed) {
        throw new VergeError('session_lost', 'The model was unloaded while the request waited. Send the request again.')
      }
      options.onTurn?.()
      try {
        return this.#instance.use(tenancy.generation, (module) => this.#run(module, feeds, fetches))
      } catch (error) {
        if (!isVergeError(error, 'engine_full')) throw error
        throw tenancy.runFailed({ artifact, elements, roomBytes: heapLimitBytes - RUNTIME_BYTES }, error)
      }
    }
    const { artifact, heapLimitBytes, tenancy } = this.#handles
    const elements = feeds.reduce((sum, { value }) => sum + value.data.length, 0)
    const cost = runCost(artifact, elements) + loopCost(artifact, inputs, elements)
    return this.#runQueue.run(options.signal, work, { cost, runsBefore: options.runsBefore, request: options.signal })
  }

  readonly generatesByRuns = true

  generate(prompt: readonly number[], options: GenerateOptions): AsyncIterable<number> {
    return generateTokens(this, prompt, options)
  }

  dispose(): void {
    if (this.#disposed) return
    const { session, names, weights, tenancy } = this.#handles
    if (this.#instance.isCurrent(tenancy.generation)) {
      this.#instance.use(tenancy.generation, (module) => {
        freeNames(module, names)
        module._OrtReleaseSession(session)
        if (weights !== 0) module._free(weights)
      })
    }
    this.#disposed = true
    this.#onDispose()
  }

  #run(module: OrtModule, feeds: ReturnType<typeof selectInputs>, fetches: ReturnType<typeof selectOutputs>): Tensors {
    const { session, names } = this.#handles
    const width = module.PTR_SIZE
    const allocations = new Allocations(module)
    try {
      const inputValues = allocations.malloc(feeds.length * width)
      const inputNames = allocations.malloc(feeds.length * width)
      const outputValues = allocations.malloc(fetches.length * width)
      const outputNames = allocations.malloc(fetches.length * width)
      feeds.forEach(({ spec, value }, slot) => {
        module.setValue(inputNames + slot * width, names.inputNames[slot] ?? 0, '*')
        module.setValue(inputValues + slot * width, writeTensor(module, allocations, spec.name, value), '*')
      })
      fetches.forEach((spec, slot) => {
        const index = this.signature.outputs.indexOf(spec)
        module.setValue(outputNames + slot * width, names.outputNames[index] ?? 0, '*')
        module.setValue(outputValues + slot * width, 0, '*')
      })
      const options = module._OrtCreateRunOptions(LOG_FATAL, 0, false, 0)
      allocations.onRelease(() => module._OrtReleaseRunOptions(options))
      const code = module._OrtRun(
        session,
        inputNames,
        inputValues,
        feeds.length,
        outputNames,
        fetches.length,
        outputValues,
        options,
      )
      if (code !== 0) throw runRejected(rawError(module), this.#instance.refusedGrowth)
      const values = fetches.map((_, slot) => module.getValue(outputValues + slot * width, '*'))
      for (const value of values) allocations.onRelease(() => module._OrtReleaseTensor(value))
      return new Map(fetches.map(({ name }, slot) => [name, readTensor(module, name, values[slot] ?? 0)]))
    } finally {
      allocations.release()
    }
  }
}

/** A failed allocation inside a kernel has many messages, some of which name only its purpose. */
function runRejected(message: string, refusedGrowth: boolean): VergeError {
  const cause = new Error(message)
  if (refusedGrowth || isOutOfMemory(message)) return heapFull(cause)
  const steps = stepsOfBound(message)
  if (steps !== undefined) {
    return new VergeError(
      'cost_too_high',
      `A loop of the model takes more than ${steps} steps with these inputs, the limit at the edge. Send smaller inputs.`,
      { cause, details: { limit_steps: steps } },
    )
  }
  return new VergeError('run_rejected', `The model could not run on these inputs: ${runReason(message)}`, { cause })
}
