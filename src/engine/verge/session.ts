import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Signature, Tensor, Tensors } from '../../core/tensors.ts'
import { selectInputs, selectOutputs } from '../../core/tensors.ts'
import { runCost, runTooLarge } from '../costs.ts'
import type { ArtifactInfo, RunOptions, Session } from '../engine.ts'
import { heldByOthers } from '../heap-budget.ts'
import type { RunQueue } from '../run-queue.ts'
import { UNIT_WORK } from './cost.ts'
import type { KernelCall, Kernels } from './kernels.ts'
import type { Frame } from './ops/operator.ts'
import { type Brought, PagedRows, type PagedRowsParts } from './pages/rows.ts'
import type { Plan } from './plan.ts'
import { bindPlan, type Program, type ProgramStep } from './program.ts'
import type { Block, Runtime } from './runtime.ts'
import { bindSymbols, readTensor, signatureOf, writeTensor } from './tensors.ts'

/** Sizes of inputs whose programs are kept: those of the next requests are most often the same. */
const KEPT_PROGRAMS = 8
/** Of a program: about a quarter of a megabyte. Those of the steps after them are recorded anew in each run. */
const KEPT_CALLS = 2_048

export interface SessionParts {
  readonly artifact: ArtifactInfo
  readonly plan: Plan
  readonly block: Block
  /** Where the weight image begins. */
  readonly image: number
  /** Rows of tables in pages, where the plan has some. */
  readonly paged?: PagedParts | undefined
  /** Multiply-adds after which a run lets the event loop turn. */
  readonly workBetweenYields: number
  /** Whether other models are loaded, or being loaded. */
  readonly hasNeighbours: () => boolean
  /** Told of every step: for profiles. */
  readonly onStep?: ((step: ProgramStep, run: () => void) => void) | undefined
}

/** What reads pages. */
export type PagedParts = Pick<PagedRowsParts, 'lookups' | 'source' | 'cache' | 'share' | 'held'>

/** A plan and its image in the engine's memory. */
export class VergeSession implements Session {
  readonly signature: Signature
  readonly bytes: number
  readonly #runtime: Runtime
  readonly #runQueue: RunQueue
  readonly #parts: SessionParts
  readonly #generation: number
  readonly #onDispose: () => void
  readonly #rows: PagedRows | undefined
  readonly #programs = new Map<string, Recorded>()
  #running = false
  #disposed = false

  constructor(runtime: Runtime, runQueue: RunQueue, parts: SessionParts, onDispose: () => void) {
    this.signature = signatureOf(parts.plan)
    this.bytes = parts.block.bytes
    this.#runtime = runtime
    this.#runQueue = runQueue
    this.#parts = parts
    this.#generation = runtime.generation
    this.#onDispose = onDispose
    const { image, paged, plan } = parts
    const needAlive = (): void => {
      if (!this.alive) throw lost()
    }
    const memory = (): ArrayBufferLike => runtime.memory.memory.buffer
    this.#rows = paged && new PagedRows({ ...paged, plan, memory, image, needAlive })
  }

  get alive(): boolean {
    return !this.#disposed && this.#generation === this.#runtime.generation
  }

  async run(inputs: Tensors, options: RunOptions): Promise<Tensors> {
    const values = selectInputs(this.signature, inputs).map(({ value }) => value)
    const wanted = selectOutputs(this.signature, options.outputs).map((spec) => this.signature.outputs.indexOf(spec))
    const { artifact } = this.#parts
    const recorded = this.#programFor(values)
    const { program } = recorded
    const elements = values.reduce((sum, { data }) => sum + data.length, 0)
    const work = program.steps.reduce((sum, { cost }) => sum + cost, 0)
    const cost = artifact.cost === undefined ? work / UNIT_WORK : runCost(artifact, elements)
    const found = this.#bring(program, values, elements, options.signal)
    const brought = found instanceof Promise ? await found : found
    try {
      return await this.#runQueue.runWithPauses(
        options.signal,
        async (pause) => {
          if (!this.alive) throw lost()
          options.onTurn?.()
          return await this.#run(recorded, { values, wanted, elements, brought, pause })
        },
        { cost, runsBefore: options.runsBefore, request: options.signal },
      )
    } finally {
      brought?.release()
    }
  }

  /** Before the run takes a turn: it may have to wait for the stores. */
  #bring(
    { arenaBytes }: Program,
    values: readonly Tensor[],
    elements: number,
    signal: AbortSignal,
  ): Brought | undefined | Promise<Brought> {
    if (this.#rows === undefined) return undefined
    if (!this.alive) throw lost()
    const { artifact, block } = this.#parts
    const { room: roomBytes } = this.#runtime.memory
    // Rows are held while the run waits: none are read for a run that finds no room even alone.
    if (block.bytes + arenaBytes > roomBytes) throw runTooLarge({ artifact, elements, roomBytes })
    return this.#rows.bring(values, signal)
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    if (!this.#running) this.#release()
  }

  #release(): void {
    this.#runtime.memory.free(this.#parts.block)
    this.#onDispose()
  }

  /** @throws invalid_tensor, run_rejected */
  #programFor(values: readonly Tensor[]): Recorded {
    const { plan } = this.#parts
    const key = values.map(({ datatype, shape }) => `${datatype} ${shape}`).join(';')
    const program = this.#programs.get(key) ?? new Recorded(bindPlan(plan, bindSymbols(plan, values)))
    this.#programs.delete(key)
    this.#programs.set(key, program)
    if (this.#programs.size > KEPT_PROGRAMS) {
      for (const oldest of this.#programs.keys()) {
        this.#programs.delete(oldest)
        break
      }
    }
    return program
  }

  async #run(recorded: Recorded, run: RunParts): Promise<Tensors> {
    const arena = this.#openArena(recorded.program, run.elements)
    this.#running = true
    try {
      return await this.#steps(recorded, arena, run)
    } finally {
      this.#runtime.closeArena(arena)
    }
  }

  /** A run has ended, or was found to have been killed. */
  #ended(): void {
    this.#running = false
    if (this.#disposed) this.#release()
  }

  async #steps(recorded: Recorded, arena: Block, { values, wanted, brought, pause }: RunParts): Promise<Tensors> {
    const { plan, image, workBetweenYields, onStep } = this.#parts
    const { program } = recorded
    const { memory } = this.#runtime.memory
    const frame: Frame = { arena: arena.address, image }
    plan.inputs.forEach(({ name }, index) => {
      const place = program.inputs[index]
      if (place) writeTensor(memory.buffer, frame.arena + place.offset, name, values[index] as Tensor)
    })
    let spent = 0
    for (const [index, step] of program.steps.entries()) {
      if (spent > 0 && spent + step.cost > workBetweenYields) {
        await pause()
        if (!this.#runtime.resumes(arena) || this.#generation !== this.#runtime.generation) throw lost()
        spent = 0
      }
      spent += step.cost
      const execute = (): void => {
        const rows = brought?.rows.get(index)
        if (rows !== undefined) step.bring?.(rows, memory.buffer, frame)
        this.#runtime.use((kernels) => call(kernels, step, recorded.calls(index, frame), frame))
      }
      if (onStep === undefined) execute()
      else onStep(step, execute)
    }
    return new Map(
      wanted.map((index) => {
        const { name, datatype } = this.signature.outputs[index] as Signature['outputs'][number]
        const place = program.outputs[index] as Program['outputs'][number]
        return [
          name,
          readTensor(memory.buffer, frame.arena + place.offset, datatype ?? 'FP32', place.shape, place.count),
        ]
      }),
    )
  }

  /** @throws run_too_large if the model is alone, engine_full if other models or other engines hold the memory */
  #openArena({ arenaBytes }: Program, elements: number): Block {
    const { artifact, block, hasNeighbours } = this.#parts
    try {
      return this.#runtime.openArena(arenaBytes, () => this.#ended())
    } catch (error) {
      if (!isVergeError(error, 'engine_full') || hasNeighbours()) throw error
      const { room: roomBytes } = this.#runtime.memory
      if (block.bytes + arenaBytes <= roomBytes) throw heldByOthers(arenaBytes, error)
      throw runTooLarge({ artifact, elements, roomBytes }, error)
    }
  }
}

/** A program, and the calls of its kernels, as far as they are kept, for where the arena lay last. */
class Recorded {
  readonly program: Program
  #arena: number | undefined
  #calls: (readonly KernelCall[])[] = []
  #kept = 0

  constructor(program: Program) {
    this.program = program
  }

  calls(step: number, frame: Frame): readonly KernelCall[] {
    if (this.#arena !== frame.arena) {
      this.#arena = frame.arena
      this.#calls = []
      this.#kept = 0
    }
    const known = this.#calls[step]
    if (known !== undefined) return known
    const calls = this.program.steps[step]?.record(frame) ?? []
    if (this.#kept + calls.length <= KEPT_CALLS) {
      this.#kept += calls.length
      this.#calls[step] = calls
    }
    return calls
  }
}

/** @throws run_rejected, integer_too_large for data that the step refuses */
function call(kernels: Kernels, step: ProgramStep, calls: readonly KernelCall[], frame: Frame): void {
  let result: number | undefined
  for (const { kernel, args } of calls) {
    // Each was recorded with the operands that its kernel takes.
    result = (kernels[kernel] as (...operands: readonly number[]) => number | undefined)(...args)
  }
  if (step.refusal !== undefined && result !== undefined && result >= 0) throw step.refusal(result, kernels, frame)
}

interface RunParts {
  readonly values: readonly Tensor[]
  /** Places of the outputs asked for. */
  readonly wanted: readonly number[]
  readonly elements: number
  readonly brought: Brought | undefined
  readonly pause: () => Promise<void>
}

function lost(): VergeError {
  return new VergeError('session_lost', 'The model was unloaded while the request waited; ask again.', {
    retryAfter: 1,
  })
}
