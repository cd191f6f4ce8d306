import { throwIfAborted } from '../../core/errors.ts'
import type { SigningArguments } from '../signing/options.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { createProgress, type Progress } from '../terminal/progress.ts'
import { type TargetArguments, targetSpec } from './arguments.ts'
import { openTarget } from './open.ts'
import { type Target, understandable } from './target.ts'

export interface TargetSession {
  readonly target: Target
  /** Raised by Ctrl-C. */
  readonly signal: AbortSignal
  readonly progress: Progress
}

/**
 * Opens the target that a command's arguments name, for one piece of work, and leaves nothing open.
 * @throws what `work` throws, worded for a person
 */
export async function withTarget<T>(
  values: TargetArguments &
    SigningArguments & { readonly json?: boolean | undefined; readonly by?: string | undefined },
  work: (session: TargetSession) => Promise<T>,
): Promise<T> {
  const spec = targetSpec(values)
  const signal = untilInterrupted()
  const progress = createProgress({
    stream: process.stderr,
    isTTY: process.stderr.isTTY ?? false,
    json: values.json ?? false,
    env: process.env,
  })
  const target = await openTarget(spec, { signal, by: values.by, signing: values })
  try {
    return await work({ target, signal, progress })
  } catch (error) {
    throwIfAborted(signal)
    throw understandable(error)
  } finally {
    progress.close()
    await target.dispose()
  }
}
