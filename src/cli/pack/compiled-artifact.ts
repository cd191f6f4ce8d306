import type { Artifact, Blob } from '../../catalog/manifest.ts'
import { LIMITS } from '../../core/limits.ts'
import { answerOf } from './answer.ts'
import { compileFile } from './compiled.ts'
import type { ArtifactDescription, Description } from './description.ts'
import { fixedRun } from './fixed-run.ts'
import { differenceOf } from './same-answer.ts'

interface Packing {
  store(bytes: Uint8Array): Blob
  readonly notes: string[]
}

/** What Verge's own engine runs, where it can. What a run costs was measured on it, or follows from the plan. */
export async function compiledArtifact(
  { file, dtype, cost, accuracy }: ArtifactDescription,
  bytes: Uint8Array,
  { sameBits }: Description,
  { store, notes }: Packing,
): Promise<Artifact[]> {
  const compilation = await compileFile(bytes, { sameBits })
  if (!compilation.ok) {
    notes.push(`${file}: ${compilation.note}`)
    return []
  }
  const { bytes: compiled, cost: counted, leastRunBytes = 0, roundsFreely, runtime, ...memory } = compilation.model
  const tooLarge = (what: string, most: number): Artifact[] => {
    notes.push(`${file}: too large for Verge's own engine: ${what} bytes of memory, and an isolate has ${most}`)
    return []
  }
  const { memoryBytes } = memory
  if (memoryBytes > LIMITS.sessionBudgetBytes)
    return tooLarge(`its weights take ${memoryBytes}`, LIMITS.sessionBudgetBytes)
  if (memoryBytes + leastRunBytes > LIMITS.ownWorkingBytes) {
    return tooLarge(`its weights and its smallest run take ${memoryBytes + leastRunBytes}`, LIMITS.ownWorkingBytes)
  }
  const { signal } = new AbortController()
  const run = await fixedRun(bytes, compiled, signal)
  const difference = run && (await differenceOf(run, bytes, { dtype, signal }))
  if (difference !== undefined) {
    notes.push(`${file}: runs on ONNX Runtime: Verge's own engine answers otherwise: ${difference}`)
    return []
  }
  if (roundsFreely) {
    notes.push(
      `${file}: its products round as the processor does: answers differ in their last bits (--same-bits is slower)`,
    )
  }
  const answer = run && answerOf(run)
  return [
    {
      id: `verge-${dtype}`,
      format: 'verge',
      dtype,
      places: ['edge'],
      runtime,
      ...memory,
      ...((cost ?? counted) && { cost: cost ?? counted }),
      ...(roundsFreely && { rounding: 'processor' as const }),
      ...(answer && { answer }),
      ...(accuracy && { accuracy }),
      ...store(compiled),
    },
  ]
}
