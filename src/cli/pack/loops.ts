import { LIMITS } from '../../core/limits.ts'
import { type BoundedLoop, boundLoops } from '../../onnx/bound-loops.ts'
import { decodeModel, encodeModel } from '../../onnx/codec.ts'

/** A model file for the edge, where nothing can interrupt a run. */
export interface BoundedFile {
  /** Returns the same bytes if no loop depends on the inputs. */
  readonly bytes: Uint8Array
  readonly loops: readonly BoundedLoop[]
  readonly notes: readonly string[]
}

const LOOP = Buffer.from('Loop')

/**
 * Bounds the loops of a file, which is decoded only if it names the operator.
 * @param file its name, for notes
 * @param steps by the operator's word
 * @throws OnnxError unsupported where a loop cannot be bounded
 */
export function boundedFile(bytes: Uint8Array, file: string, steps: number | undefined): BoundedFile {
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(LOOP)) return { bytes, loops: [], notes: [] }
  const { model, loops } = boundLoops(decodeModel(bytes), { cost: LIMITS.requestCost, steps })
  if (loops.length === 0) return { bytes, loops, notes: [] }
  return {
    bytes: encodeModel(model),
    loops,
    notes: loops.map((loop) => `${file}: ${noteOf(loop, steps !== undefined)}`),
  }
}

function noteOf({ cost, input, steps }: BoundedLoop, stated: boolean): string {
  const what =
    input === undefined
      ? 'a loop whose number of steps is computed from the inputs'
      : `a loop whose number of steps is the input "${input}"`
  const bound = `${what} takes at most ${steps} steps at the edge; a run with more fails with 413`
  const most = steps * cost
  if (input === undefined && most > LIMITS.requestCost) {
    return `${bound}. They may cost ${Math.round(most)} units, above the limit of ${LIMITS.requestCost} for a request, so every request will be refused. Lower the steps with --loop-steps, or let an origin run the model`
  }
  return stated ? bound : `${bound}. --loop-steps changes the limit`
}
