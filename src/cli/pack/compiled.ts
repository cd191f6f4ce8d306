import { compileModel } from '../../compile/compile.ts'
import { roundsFreely } from '../../compile/fast-rounding.ts'
import type { PagesFile, PageTable } from '../../compile/paged.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { RunCost, RunMemory } from '../../engine/engine.ts'
import { readHeader, readPlanJson } from '../../engine/verge/artifact.ts'
import { checkPlan } from '../../engine/verge/check.ts'
import { UNIT_WORK } from '../../engine/verge/cost.ts'
import { pagedLookups } from '../../engine/verge/pages/lookup.ts'
import type { Plan } from '../../engine/verge/plan.ts'
import { bindPlan } from '../../engine/verge/program.ts'
import { versionOf } from '../../engine/verge/version.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { prepareModel } from '../../quantize/prepare.ts'
import { fitCost } from '../measure/fit.ts'
import { plainEngine } from '../verify/reference.ts'

export interface CompiledModel {
  readonly bytes: Uint8Array
  /** Rows of tables that stay in the stores, where there are some. */
  readonly pages?: PagesFile
  /** Held by a loaded session: the artifact as it is stored. */
  readonly memoryBytes: number
  /** Of the arena, by elements of the inputs. Absent where the plan runs at none of the sizes that were tried. */
  readonly activations?: RunMemory
  /** Of the smallest run that was tried, in bytes; absent as `activations`. */
  readonly leastRunBytes?: number
  /** By the plan's own count of its work: no clock is asked, so the same model has the same cost on every machine. */
  readonly cost?: RunCost
  /** The oldest engine that runs it. */
  readonly runtime: string
  /** Whether its float products round as the processor does, so that the last bits of an answer are not the same everywhere. */
  readonly roundsFreely: boolean
}

export type Compilation =
  | { readonly ok: true; readonly model: CompiledModel }
  /** Why the model stays with ONNX Runtime, behind the file's name. */
  | { readonly ok: false; readonly note: string }

export interface CompileFileOptions {
  /** Whether answers are to have the same bits on every processor, at the price of the speed of float convolutions. */
  readonly sameBits?: boolean | undefined
  /** Which tables are read by page, and how. Left out: none. */
  readonly paged?: PageTable | undefined
}

/** Compiles an ONNX file for Verge's own engine, in the precision that it has. */
export async function compileFile(
  bytes: Uint8Array,
  { paged, sameBits = false }: CompileFileOptions = {},
): Promise<Compilation> {
  const { signal } = new AbortController()
  try {
    const { model } = await prepareModel(decodeModel(bytes), { engine: plainEngine(), signal })
    const result = await compileModel(model, { fast: !sameBits, ...(paged && { paged }), signal })
    if (!result.ok) {
      const node = result.node === '' ? '' : ` "${result.node}"`
      return { ok: false, note: `runs on ONNX Runtime: ${result.operator}${node}: ${result.reason}` }
    }
    // What no isolate holds is refused for that, by whoever packs it.
    if (result.bytes.length <= LIMITS.sessionBudgetBytes) refuseUnreadable(result.bytes)
    const { pages, plan } = result
    return {
      ok: true,
      model: {
        bytes: result.bytes,
        ...(pages && { pages }),
        memoryBytes: result.bytes.length,
        runtime: `verge ${versionOf(plan)}`,
        roundsFreely: roundsFreely(plan),
        ...measured(plan),
      },
    }
  } catch (error) {
    if (!isOnnxError(error) && !isVergeError(error, 'model_invalid')) throw error
    return { ok: false, note: `runs on ONNX Runtime: ${error.message}` }
  }
}

/** What the engine would refuse is not packed: it checks the same when it loads. @throws model_invalid */
function refuseUnreadable(bytes: Uint8Array): void {
  const header = readHeader(bytes)
  pagedLookups(checkPlan(readPlanJson(bytes, header), header.imageBytes), LIMITS.pageBytes)
}

/** Sizes that a first symbol has, which exporters use for the batch, and that the others have. */
const BATCHES = [1, 4, 16]
const LENGTHS = [16, 128, 512]

interface Point {
  readonly elements: number
  readonly bytes: number
  readonly units: number
}

function measured(plan: Plan): Pick<CompiledModel, 'activations' | 'cost' | 'leastRunBytes'> {
  const points = sizesOf(plan).flatMap((sizes) => pointAt(plan, sizes) ?? [])
  if (points.length === 0) return {}
  const memory = fitCost(points.map(({ elements, bytes }) => ({ elements, units: bytes })))
  // No point lies above the line.
  const base = Math.max(...points.map(({ elements, bytes }) => bytes - memory.perElement * elements))
  return {
    activations: { base: Math.max(0, Math.ceil(base)), perElement: memory.perElement },
    leastRunBytes: Math.min(...points.map(({ bytes }) => bytes)),
    cost: fitCost(points),
  }
}

function sizesOf({ symbols }: Plan): number[][] {
  const [first, ...others] = symbols
  if (first === undefined) return [[]]
  const batches = others.length > 0 ? BATCHES : [...BATCHES, ...LENGTHS.slice(1)]
  return batches.flatMap((batch) =>
    (others.length > 0 ? LENGTHS : [0]).map((length) => symbols.map((_, index) => (index === 0 ? batch : length))),
  )
}

/** Undefined where the plan does not run at these sizes. */
function pointAt(plan: Plan, sizes: readonly number[]): Point | undefined {
  try {
    const { arenaBytes, inputs, steps } = bindPlan(plan, sizes)
    const work = steps.reduce((sum, { cost }) => sum + cost, 0)
    return {
      elements: inputs.reduce((sum, { count }) => sum + count, 0),
      bytes: arenaBytes,
      units: work / UNIT_WORK,
    }
  } catch (error) {
    if (isVergeError(error, 'run_rejected')) return undefined
    throw error
  }
}
