import { type MeasureMemory, measureMemory } from '../measure/memory.ts'
import { sha256 } from '../pack/bytes.ts'
import { type Kept, keptResults } from './kept.ts'

/** `measureMemory`, which gives the same figures for the same artifact, and so measures each once on this machine. */
export function keptMemory(kept: Kept = keptResults(), measure: MeasureMemory = measureMemory): MeasureMemory {
  return async (artifact, bytes, onnx, settings) => {
    const parts = { artifact, onnx: sha256(onnx), settings }
    const before = await kept.find<Awaited<ReturnType<MeasureMemory>>>('memory', parts)
    if (before !== undefined) return before
    const measured = await measure(artifact, bytes, onnx, settings)
    await kept.put('memory', parts, measured)
    return measured
  }
}
