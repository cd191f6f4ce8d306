import { basename } from 'node:path'
import { isVergeError } from '../../core/errors.ts'
import { type Measured, measureInWorkerd } from '../measure/measure.ts'
import { sha256 } from '../pack/bytes.ts'
import { type PackedModel, pack } from '../pack/packer.ts'
import { type ProveOptions, proveInWorkerd } from '../verify/prove.ts'
import { type Verification, verifyInWorkerd } from '../verify/verify.ts'
import type { BuildContext } from './context.ts'
import { type Declined, declinedBy, declinedNote, isLasting } from './declined.ts'
import { provenPart, samplesDigest } from './evidence.ts'
import { type Kept, keptResults } from './kept.ts'
import type { LoadedModel } from './load.ts'
import type { SampleSet } from './precision.ts'

export interface ProofSettings {
  /** What is compared with, as messages call it: the original, unless its vocabulary was trimmed. */
  readonly against?: 'original' | 'trimmed model'
  readonly verify: boolean
  readonly measure: boolean
  /** Least cosine of original and result; by precision if left out. */
  readonly tolerance: number | undefined
}

/** Results of the proof, as far as it was requested. */
export interface ProofResult {
  readonly verification: Verification | null
  readonly measured: Measured | null
  /** Whether it was found before, on the same files, samples and tools. */
  readonly kept: boolean
  /** What was proved: the packed model, or the same without those artifacts of Verge's own engine that differ. */
  readonly packed: PackedModel
  /** Precisions in which an artifact of Verge's own engine was left out. */
  readonly declined: readonly string[]
}

/** Packs the same model, in these precisions without Verge's own engine. */
export type PackWithout = (dtypes: readonly string[]) => Promise<PackedModel>

/**
 * Verifies and measures a packed model in workerd, as far as requested. A proof depends only on files. A successful
 * proof is cached on this machine, and reused while none of these files changes. Where Verge's own engine differs from the
 * original and ONNX Runtime in the same precision does not, the model is packed and proved without that artifact.
 */
export async function prove(
  packed: PackedModel,
  loaded: LoadedModel,
  set: SampleSet,
  settings: ProofSettings,
  context: BuildContext,
  packWithout: PackWithout,
  kept: Kept = keptResults(),
): Promise<ProofResult> {
  const declined: string[] = []
  const noted: Declined[] = []
  for (let trial = packed; ; ) {
    const { wrong, ...proof } = await proveOnce(trial, loaded, set, settings, context, kept)
    if (wrong.length === 0) return { ...proof, packed: trial, declined }
    noted.push(...wrong)
    declined.push(...wrong.map(({ artifact }) => dtypeOf(trial, artifact)))
    const other = await packWithout(declined)
    trial = { ...other, notes: [...other.notes, ...noted.map(declinedNote)] }
  }
}

function dtypeOf({ manifest }: PackedModel, artifact: string): string {
  return manifest.artifacts.find(({ id }) => id === artifact)?.dtype ?? ''
}

interface Trial extends Pick<ProofResult, 'verification' | 'measured' | 'kept'> {
  /** What has to be left out. */
  readonly wrong: readonly Declined[]
}

async function proveOnce(
  packed: PackedModel,
  loaded: LoadedModel,
  set: SampleSet,
  { against = 'original', measure, tolerance, verify }: ProofSettings,
  context: BuildContext,
  kept: Kept,
): Promise<Trial> {
  if (!verify && !measure) return { verification: null, measured: null, kept: false, wrong: [] }
  const { progress, signal } = context
  const { onnx: original } = loaded
  const { samples, synthetic } = set
  const task = progress.task(verify ? 'Verifying in workerd' : 'Measuring in workerd', undefined, 'steps')
  const parts = {
    original: sha256(original),
    packed: provenPart(packed.manifest),
    samples: samplesDigest(samples),
    synthetic,
    verify,
    measure,
    tolerance,
  }
  const before = await kept.find<Pick<ProofResult, 'verification' | 'measured'>>('proof', parts)
  if (before !== undefined) {
    task.done(`unchanged since the last run: ${summary(before, against)}`)
    return { ...before, kept: true, wrong: [] }
  }
  const known = await kept.find<readonly Declined[]>('declined', parts)
  if (known !== undefined) {
    task.done(`unchanged since the last run: Verge's own engine differs from the ${against}`)
    return { verification: null, measured: null, kept: true, wrong: known }
  }
  const options: Omit<ProveOptions, 'progress'> = {
    packed,
    original,
    samples,
    synthetic,
    signal,
    ...(tolerance !== undefined && { tolerance: { cosine: tolerance } }),
  }
  const proof = !measure
    ? { verification: await verifyInWorkerd(options), measured: null }
    : verify
      ? await proveInWorkerd(options)
      : { verification: null, measured: await measureInWorkerd(options) }
  task.done(summary(proof, against))
  const declined = proof.verification ? declinedBy(proof.verification, packed) : []
  if (declined.length > 0) {
    if (isLasting(declined)) await kept.put('declined', parts, declined)
    return { ...proof, kept: false, wrong: declined }
  }
  // What went wrong may have gone wrong by chance, on a busy machine.
  const atTheEdge = packed.manifest.artifacts.some(({ places }) => places.includes('edge'))
  const whole = (!verify || proof.verification?.ok) && (!measure || !atTheEdge || proof.measured?.measurements)
  if (whole) await kept.put('proof', parts, proof)
  return { ...proof, kept: false, wrong: [] }
}

const VERDICTS = {
  agrees: (against: string) => `agrees with the ${against}`,
  differs: (against: string) => `differs from the ${against}`,
  none: () => 'no output is exercised',
} as const

function summary({ verification, measured }: Pick<ProofResult, 'verification' | 'measured'>, against: string): string {
  const parts: string[] = []
  if (verification) parts.push(VERDICTS[verification.verdict](against))
  if (measured) parts.push(measured.verdict.fit)
  if (measured?.measurements) parts.push(`${measured.measurements.warm.p50.toFixed(1)} ms per request`)
  return parts.join(', ')
}

/** Measurements of the original in a Worker; null if it does not run there. */
export async function measureOriginal(
  { source, onnx }: LoadedModel,
  { samples }: SampleSet,
  { progress, signal }: BuildContext,
): Promise<Measured | null> {
  const task = progress.task('Measuring the original in workerd', undefined, 'steps')
  const file = basename(source.modelFile)
  const artifacts = [{ file, dtype: 'fp32' }]
  const description = { name: 'original', version: '1', visibility: 'private', hot: true, licence: 'unknown' } as const
  try {
    const packed = await pack({ ...description, artifacts }, '', new Map([[file, onnx]]))
    const measured = await measureInWorkerd({ packed, original: onnx, samples, signal })
    task.done(measured.verdict.fit)
    return measured
  } catch (error) {
    if (!isVergeError(error, 'model_too_large')) throw error
    task.done('too large for a Worker')
    return null
  }
}
