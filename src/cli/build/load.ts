import { join } from 'node:path'
import { isVergeError } from '../../core/errors.ts'
import type { Signature } from '../../core/tensors.ts'
import { encodeModel } from '../../onnx/codec.ts'
import { isOnnxError, OnnxError } from '../../onnx/errors.ts'
import { refuseNonFinite } from '../../onnx/finite.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'
import { validateModel } from '../../onnx/validate.ts'
import { ROOT } from '../files/project.ts'
import { type ModelFile, readModelFile } from '../pack/model-file.ts'
import { refuseUnsendable } from '../pack/sendable.ts'
import { withoutZipMaps } from '../pack/zip-maps.ts'
import { type ModelSource, openModelSource } from '../source/source.ts'
import type { Progress } from '../terminal/progress.ts'
import { referenceSession } from '../verify/reference.ts'

/** Where downloads are kept between runs. */
const CACHE = join(ROOT, '.verge/cache')

/** A model as it came. */
export interface LoadedModel {
  readonly source: ModelSource
  /** With its external data read in. */
  readonly model: ModelProto
  /** The same as one file, as runtimes take it. */
  readonly onnx: Uint8Array
  /** Bytes of its files as they came, external data too. */
  readonly bytes: number
  readonly signature: Signature
  /** Of the scores, where the model named them in a `ZipMap`, which was taken off. */
  readonly classes: readonly string[] | undefined
  /** Notes for the person about the changes. */
  readonly notes: readonly string[]
}

export interface LoadOptions {
  /** Which `.onnx` of a folder or repository. */
  readonly file?: string | undefined
  /** Plain http to other machines than this one. */
  readonly insecure?: boolean
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** Reads a model and checks its structure and its weights. @throws OnnxError that names the file */
async function readValid({ label, modelFile }: ModelSource): Promise<ModelFile> {
  try {
    const file = await readModelFile(modelFile)
    validateModel(file.model)
    refuseNonFinite(file.model)
    return file
  } catch (error) {
    if (!isOnnxError(error)) throw error
    const { code, message, node } = error
    throw new OnnxError(code, `${label}: ${message}`, { ...(node !== undefined && { node }), cause: error })
  }
}

/**
 * Brings a model to this machine, reads it, and checks that it is valid: by its structure, by its weights, which are
 * numbers, and by loading it in onnxruntime-node.
 * @throws UsageError, OnnxError, VergeError model_invalid
 */
export async function loadModel(
  spec: string,
  { file, insecure = false, signal, progress }: LoadOptions,
): Promise<LoadedModel> {
  const source = await openModelSource(spec, { cacheDir: CACHE, env: process.env, signal, file, insecure, progress })
  const { model: read, bytes, bytesRead, external } = await readValid(source)
  const unzipped = await withoutZipMaps(read, signal)
  const model = unzipped?.model ?? read
  const onnx = external.length === 0 && unzipped === undefined ? bytes : encodeModel(model)
  const session = await referenceSession(onnx, signal).catch((error: unknown) => {
    // The runtime does not say which of the inputs and outputs it has no type for.
    if (isVergeError(error, 'engine_unsupported')) refuseUnsendable(model)
    throw error
  })
  session.dispose()
  return {
    source,
    model,
    onnx,
    bytes: bytesRead,
    signature: session.signature,
    classes: unzipped?.classes,
    notes: [...(source.notes ?? []), ...(unzipped === undefined ? [] : [unzipped.note])],
  }
}
