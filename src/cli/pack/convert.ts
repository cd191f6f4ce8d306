import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VergeError } from '../../core/errors.ts'
import { runtimeReason } from '../../engine/native/reason.ts'
import { InferenceSession } from '../../engine/native/runtime.ts'
import { NATIVE_VERSION } from '../../engine/native/support.ts'
import { canonicalOrt } from './ort-format.ts'

export interface Conversion {
  readonly bytes: Uint8Array
  /** The runtime that wrote it, which is the oldest that surely reads it. */
  readonly runtime: string
}

/**
 * Converts an ONNX model to ORT format, whose weights an engine uses in place, without parsing or copying.
 *
 * Optimizes up to level `extended`: fusions that are valid on every processor. `all` would add layouts for the
 * processor that runs the conversion, which a Worker's WebAssembly does not have.
 * @throws model_invalid if ONNX Runtime cannot convert it
 */
export async function toOrtFormat(onnx: Uint8Array): Promise<Conversion> {
  const folder = await mkdtemp(join(tmpdir(), 'verge-'))
  const file = join(folder, 'model.ort')
  try {
    const session = await InferenceSession.create(onnx, {
      graphOptimizationLevel: 'extended',
      optimizedModelFilePath: file,
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
      extra: { session: { save_model_format: 'ORT' } },
    })
    await session.release()
    const bytes = await readFile(file)
    const canonical = canonicalOrt(bytes)
    if (!canonical) throw new Error('ONNX Runtime wrote an unknown version of the ORT format')
    return { bytes: canonical, runtime: `onnxruntime ${NATIVE_VERSION}` }
  } catch (error) {
    throw new VergeError('model_invalid', `Not convertible to ORT format: ${runtimeReason(error)}`, { cause: error })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
