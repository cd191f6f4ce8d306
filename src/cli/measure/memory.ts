import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Signature, Tensors } from '../../core/tensors.ts'
import { type CausalLayout, causalLayout, emptyCache, stepInputs } from '../../engine/causal.ts'
import type { ArtifactInfo, RunMemory, Session } from '../../engine/engine.ts'
import type { OrtEngine } from '../../engine/ort/engine.ts'
import type { OrtModule } from '../../engine/ort/module.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { memorySource } from '../pack/bytes.ts'
import { edgeEngine } from '../pack/edge-engine.ts'
import { inputBounds } from '../verify/bounds.ts'
import {
  type InputMaker,
  type InputSettings,
  inputCandidates,
  multiples,
  sizedCandidates,
} from '../verify/candidates.ts'
import { tensorOutputs } from '../verify/reference.ts'
import { fitCost } from './fit.ts'

/** Memory of an artifact in the Worker's engine, in bytes. */
export interface ArtifactMemory {
  /** Held by a loaded session. Rounded up to 64 KiB. */
  readonly memoryBytes: number
  /** Taken by a run beside it, and given back. Absent where the model runs on no input that can be made up. */
  readonly activations?: RunMemory
}

/** Figures are rounded up to this, so that they do not change with every byte of the runtime. */
const ROUNDING = 64 * 1024

/**
 * Measures an artifact in the Worker's engine. The same artifact gives the same figures on every machine and in any
 * order: each measurement begins with the same bytes in the engine's memory. One engine serves the whole process,
 * because each WebAssembly instance keeps 20 to 36 MB until the process ends.
 * @param onnx the source model of the artifact, for inputs of several sizes
 * @param settings known properties of its inputs
 * @throws model_invalid, model_too_large if the artifact does not run at the edge
 */
export function measureMemory(
  artifact: ArtifactInfo,
  bytes: Uint8Array,
  onnx: Uint8Array,
  settings?: InputSettings,
): Promise<ArtifactMemory> {
  const measured = last.then(() => measure({ artifact, bytes, onnx, settings }))
  last = measured.catch(() => {})
  return measured
}

export type MeasureMemory = typeof measureMemory

/** One measurement at a time. */
let last: Promise<unknown> = Promise.resolve()
let shared: Promise<OrtEngine> | undefined
/** The first bytes of the memory of an instance that has loaded nothing yet; the rest is zeros. */
let pristine: { readonly generation: number; readonly heap: Uint8Array } | undefined

interface Measured {
  readonly artifact: ArtifactInfo
  readonly bytes: Uint8Array
  readonly onnx: Uint8Array
  readonly settings: InputSettings | undefined
}

async function measure(measured: Measured): Promise<ArtifactMemory> {
  try {
    return await measureIn(await pristineEngine(), measured)
  } catch (error) {
    // The engine counts the sessions that it had before its memory was restored, and so takes the heap for full of holes.
    if (!isVergeError(error, 'engine_full')) throw error
    pristine = undefined
    return measureIn(await pristineEngine(), measured)
  }
}

async function measureIn(engine: OrtEngine, { artifact, bytes, onnx, settings }: Measured): Promise<ArtifactMemory> {
  const { instance } = engine
  const { signal } = new AbortController()
  const before = instance.use(instance.generation, largestBlock)
  const session = await engine.load(artifact, memorySource(bytes), { signal })
  const held = before - instance.use(instance.generation, largestBlock)
  const memoryBytes = Math.max(ROUNDING, roundUp(held))
  try {
    const activations = await measureRuns(engine, session, { onnx, settings }, signal)
    return { memoryBytes, ...(activations && { activations }) }
  } catch (error) {
    // No input can be made up.
    if (!isOnnxError(error)) throw error
    return { memoryBytes }
  } finally {
    session.dispose()
  }
}

/** The engine with its memory as it was when its instance was new, which costs less than another instance. */
async function pristineEngine(): Promise<OrtEngine> {
  shared ??= edgeEngine()
  const engine = await shared
  const { instance } = engine
  if (pristine !== undefined && instance.isCurrent(pristine.generation)) {
    const { heap } = pristine
    instance.use(instance.generation, (module) => {
      const memory = new Uint8Array(module.HEAPU8.buffer)
      memory.set(heap)
      memory.fill(0, heap.length)
    })
  } else {
    instance.discard('defragment')
    await instance.ready()
    const heap = instance.use(instance.generation, ({ HEAPU8 }) => new Uint8Array(HEAPU8.buffer).slice())
    pristine = { generation: instance.generation, heap: withoutZeros(heap) }
  }
  return engine
}

function withoutZeros(heap: Uint8Array): Uint8Array {
  let end = heap.length
  while (end > 0 && heap[end - 1] === 0) end--
  return heap.slice(0, end)
}

/** From one item to as much as tasks put into a run: see `textTokens` and `prefillTokens`. */
const LADDERS = { lengths: [16, 128, 512], batches: [1, 4, 16] }

async function measureRuns(
  engine: OrtEngine,
  session: Session,
  model: Pick<Measured, 'onnx' | 'settings'>,
  signal: AbortSignal,
): Promise<RunMemory | undefined> {
  const { signature } = session
  const points = new Map<number, number>()
  const runs = new Runs(engine, session, points, signal)
  const prompts = promptsFor(signature)
  if (prompts !== undefined) await runs.tryAll(prompts)
  else {
    const facts = { signature, bounds: inputBounds(decodeModel(model.onnx)), settings: model.settings }
    const makeAll = (makers: readonly InputMaker[]) =>
      makers.map((maker) => () => maker.make({ count: 1, seed: 1 })[0]?.inputs)
    await runs.tryAll(makeAll(sizedCandidates(facts, LADDERS)))
    if (points.size === 0) {
      const candidates = inputCandidates(facts)
      const shapes = candidates[await runs.tryAll(makeAll(candidates), 1)]?.shapes
      if (shapes !== undefined) await runs.tryAll(makeAll(multiples(facts, shapes)))
    }
  }
  return points.size === 0 ? undefined : line([...points].map(([elements, bytes]) => ({ elements, bytes })))
}

/** Failures of a run on inputs of one size, or of making them, that leave the engine as it was. */
const OTHER_SIZES_MAY_DO = ['run_rejected', 'invalid_tensor', 'unsupported_output'] as const

/** Runs on inputs of several sizes, by number of elements with the bytes that each took. */
class Runs {
  readonly #engine: OrtEngine
  readonly #session: Session
  readonly #points: Map<number, number>
  readonly #signal: AbortSignal

  constructor(engine: OrtEngine, session: Session, points: Map<number, number>, signal: AbortSignal) {
    this.#engine = engine
    this.#session = session
    this.#points = points
    this.#signal = signal
  }

  /**
   * @param makers of inputs, smallest first
   * @param enough sizes
   * @returns the index of the last that ran, or -1
   */
  async tryAll(makers: readonly (() => Tensors | undefined)[], enough = makers.length): Promise<number> {
    const outputs = tensorOutputs(this.#session)
    let ran = -1
    for (const [index, make] of makers.entries()) {
      if (!this.#session.alive || this.#points.size >= enough) break
      try {
        const inputs = make()
        if (inputs === undefined) continue
        const elements = [...inputs.values()].reduce((total, { data }) => total + data.length, 0)
        const run = () => this.#session.run(inputs, { outputs, signal: this.#signal })
        this.#points.set(elements, await touchedBy(this.#engine, run))
        ran = index
      } catch (error) {
        if (OTHER_SIZES_MAY_DO.some((code) => isVergeError(error, code)) || isOnnxError(error)) continue
        if (!isVergeError(error)) throw error
        // Out of memory, or aborted: the smaller sizes have already given the memory of a run.
        pristine = undefined
        break
      }
    }
    return ran
  }
}

/** A language model's prompts of several sizes, before which there is nothing; undefined for other models. */
function promptsFor(signature: Signature): readonly (() => Tensors)[] | undefined {
  const layout = layoutOf(signature)
  if (layout === undefined) return undefined
  const cache = layout.cache.map((pair) => [pair.past, emptyCache(pair)] as const)
  return LADDERS.lengths.map((length) => () => new Map([...stepInputs(layout, new Array(length).fill(0), 0), ...cache]))
}

function layoutOf(signature: Signature): CausalLayout | undefined {
  try {
    return causalLayout(signature)
  } catch (error) {
    if (isVergeError(error, 'engine_unsupported')) return undefined
    throw error
  }
}

/** A straight line that no measured point is above. */
function line(points: readonly { readonly elements: number; readonly bytes: number }[]): RunMemory {
  const { perElement } = fitCost(points.map(({ elements, bytes }) => ({ elements, units: bytes })))
  const base = Math.max(...points.map(({ elements, bytes }) => bytes - perElement * elements))
  return { base: Math.max(ROUNDING, roundUp(base)), perElement }
}

const PAGE = 4096
const PAINT = 0xa5
/** Smaller holes are not painted: what goes into them was free before, and is within the rounding. */
const SMALLEST_BLOCK = ROUNDING

/** Bytes of free memory that `work` wrote to, in whole pages: its peak use, including gaps between its pieces. */
async function touchedBy(engine: OrtEngine, work: () => Promise<unknown>): Promise<number> {
  const { instance } = engine
  const pages = instance.use(instance.generation, paintFreeMemory)
  await work()
  return (
    instance.use(instance.generation, ({ HEAPU8 }) => pages.filter((page) => !isPainted(HEAPU8, page)).length) * PAGE
  )
}

/** Fills all free memory with a pattern. @returns offsets of the pages that have it once the memory is free again */
function paintFreeMemory(module: OrtModule): number[] {
  const blocks: { readonly pointer: number; readonly bytes: number }[] = []
  for (;;) {
    const bytes = largestBlock(module)
    const pointer = bytes < SMALLEST_BLOCK ? 0 : module._malloc(bytes)
    if (pointer === 0) break
    module.HEAPU8.fill(PAINT, pointer, pointer + bytes)
    blocks.push({ pointer, bytes })
  }
  for (const { pointer } of blocks) module._free(pointer)
  const pages: number[] = []
  for (const { pointer, bytes } of blocks) {
    const first = Math.ceil(pointer / PAGE) * PAGE
    for (let page = first; page + PAGE <= pointer + bytes; page += PAGE) {
      if (isPainted(module.HEAPU8, page)) pages.push(page)
    }
  }
  return pages
}

function isPainted(heap: Uint8Array, page: number): boolean {
  const words = new Uint32Array(heap.buffer, page, PAGE / 4)
  for (let at = 0; at < words.length; at++) if (words[at] !== PAINTED) return false
  return true
}

const PAINTED = 0xa5a5_a5a5

/** Bytes of the largest block that can be allocated, to the page. */
function largestBlock(module: OrtModule): number {
  let fits = 0
  let fails = Math.ceil(LIMITS.engineHeapBytes / PAGE)
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2)
    const pointer = module._malloc(middle * PAGE)
    if (pointer === 0) fails = middle
    else {
      module._free(pointer)
      fits = middle
    }
  }
  return fits * PAGE
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ROUNDING) * ROUNDING
}
