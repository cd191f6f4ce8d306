import { isVergeError } from '../../core/errors.ts'
import { type Measured, type MeasureOptions, measureBeside, measureStaged, startOf } from '../measure/measure.ts'
import { packedReference, REFERENCE } from '../measure/reference-model.ts'
import { type Stage, type StagedWorker, withStage } from './stage.ts'
import { type Verification, type VerifyOptions, verifyStaged, verifyWith } from './verify.ts'

export interface ProveOptions extends Omit<VerifyOptions, 'progress'>, Omit<MeasureOptions, 'progress' | 'packed'> {
  readonly progress?: (step: string) => void
}

export interface Proof {
  readonly verification: Verification
  /** Null if the verification failed, because a wrong model is not measured. */
  readonly measured: Measured | null
}

/**
 * Verifies a packed model in workerd and, if it is right, measures it there: `verifyInWorkerd` and `measureInWorkerd`
 * in one. One Worker does both, unless several artifacts are for the edge: the measured artifact must be alone in
 * memory.
 */
export function proveInWorkerd(options: ProveOptions): Promise<Proof> {
  const beside = [{ name: REFERENCE, packed: packedReference() }]
  return withStage(options.packed, { signal: options.signal, beside }, async (stage) => {
    if (stage.artifacts.length === 1) return stage.withWorker((worker) => proveWith(worker, stage, options))
    const verification = await verifyStaged(stage, verifying(options))
    return { verification, measured: verification.ok ? await measureStaged(stage, options) : null }
  })
}

async function proveWith(worker: StagedWorker, stage: Stage, options: ProveOptions): Promise<Proof> {
  // The first answer is timed before the verification, which loads the model.
  const start = await startOf(worker, options).catch((error: unknown) => {
    if (!isVergeError(error) || options.signal.aborted) throw error
    return undefined
  })
  const verification = await verifyWith(() => worker, stage, verifying(options))
  const [artifact] = stage.artifacts
  if (!verification.ok || start === undefined || artifact === undefined) return { verification, measured: null }
  return { verification, measured: await measureBeside(stage, worker, artifact, start, options) }
}

function verifying({ progress, ...rest }: ProveOptions): VerifyOptions {
  return { ...rest, progress: (done, total) => progress?.(`verified ${done} of ${total} samples`) }
}
