import { type Measured, type MeasureOptions, measureStaged } from '../measure/measure.ts'
import { packedReference, REFERENCE } from '../measure/reference-model.ts'
import { withStage } from './stage.ts'
import { type Verification, type VerifyOptions, verifyStaged } from './verify.ts'

export interface ProveOptions extends Omit<VerifyOptions, 'progress'>, Omit<MeasureOptions, 'progress' | 'packed'> {
  readonly progress?: (step: string) => void
}

export interface Proof {
  readonly verification: Verification
  /** Null where the verification failed: what is wrong need not be fast. */
  readonly measured: Measured | null
}

/** Verifies a packed model in workerd and, if it is right, measures it there: `verifyInWorkerd` and `measureInWorkerd` in one. */
export function proveInWorkerd(options: ProveOptions): Promise<Proof> {
  const { progress, ...rest } = options
  const beside = [{ name: REFERENCE, packed: packedReference() }]
  return withStage(options.packed, { signal: options.signal, beside }, async (stage) => {
    const verification = await verifyStaged(stage, {
      ...rest,
      progress: (done, total) => progress?.(`verified ${done} of ${total} samples`),
    })
    if (!verification.ok) return { verification, measured: null }
    return { verification, measured: await measureStaged(stage, { ...rest, ...(progress && { progress }) }) }
  })
}
