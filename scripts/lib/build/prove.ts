import { basename } from 'node:path'
import { isVergeError } from '../../../src/core/errors.ts'
import { type Measured, measureInWorkerd } from '../measure/measure.ts'
import { type PackedModel, pack } from '../packer.ts'
import { type Proof, type ProveOptions, proveInWorkerd } from '../verify/prove.ts'
import { verifyInWorkerd } from '../verify/verify.ts'
import type { LoadedModel } from './load.ts'
import type { SampleSet } from './precision.ts'
import type { Workbench } from './session.ts'

export interface ProofSettings {
  readonly verify: boolean
  readonly measure: boolean
  /** Least cosine of original and result; by precision if left out. */
  readonly tolerance: number | undefined
}

/** Verifies and measures a packed model in workerd, as far as asked. */
export async function prove(
  packed: PackedModel,
  { onnx: original }: LoadedModel,
  { samples, synthetic }: SampleSet,
  { verify, measure, tolerance }: ProofSettings,
  { progress, signal }: Workbench,
): Promise<{ readonly [K in keyof Proof]: Proof[K] | null }> {
  if (!verify && !measure) return { verification: null, measured: null }
  const task = progress.task(verify ? 'Proving in workerd' : 'Measuring in workerd', undefined, 'steps')
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
  task.done(summary(proof))
  return proof
}

function summary({ verification, measured }: { readonly [K in keyof Proof]: Proof[K] | null }): string {
  const parts: string[] = []
  if (verification) parts.push(verification.ok ? 'agrees with the original' : 'STRAYS from the original')
  if (measured) parts.push(measured.verdict.fit)
  if (measured?.measurements) parts.push(`${measured.measurements.warm.p50.toFixed(1)} ms a request`)
  return parts.join(', ')
}

/** What the original would take in a Worker; null where it does not run in one. */
export async function measureOriginal(
  { source, onnx }: LoadedModel,
  { samples }: SampleSet,
  { progress, signal }: Workbench,
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
