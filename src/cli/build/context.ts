import { LIMITS } from '../../core/limits.ts'
import { systemClock } from '../../core/runtime.ts'
import type { Engine } from '../../engine/engine.ts'
import { NativeEngine } from '../../engine/native/engine.ts'
import { createProgress, type Progress } from '../terminal/progress.ts'

/** Context of a command that builds models: progress on standard error, and a signal that Ctrl-C aborts. */
export interface BuildContext {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** @param json the output is for a program: no progress */
export function buildContext(signal: AbortSignal, json: boolean): BuildContext {
  const stream = process.stderr
  return { signal, progress: createProgress({ stream, isTTY: stream.isTTY === true, json, env: process.env }) }
}

/** onnxruntime-node, as calibration and constants need it: graphs as written, so that every value can be asked for. */
export function referenceEngine(): Engine {
  return new NativeEngine({
    clock: systemClock,
    maxArtifactBytes: LIMITS.nativeArtifactBytes,
    turnLeaseMs: LIMITS.turnLeaseMs,
    optimization: 'disabled',
  })
}
