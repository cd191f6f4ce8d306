import { decodeModel, encodeModel } from '../../onnx/codec.ts'
import { isOnnxError, safeName } from '../../onnx/errors.ts'
import { runPasses } from '../../onnx/pass.ts'
import { dropZipMaps, zipMapClasses } from '../../onnx/passes/drop-zip-maps.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'

/** A model whose probabilities are tensors. */
export interface WithoutZipMaps {
  readonly model: ModelProto
  /** The classes of the scores, in their order; undefined where several `ZipMap`s disagree. */
  readonly classes: readonly string[] | undefined
  readonly note: string
}

/** The model without scikit-learn's maps of probabilities; undefined where it has none. */
export async function withoutZipMaps(model: ModelProto, signal: AbortSignal): Promise<WithoutZipMaps | undefined> {
  const named = (model.graph?.node ?? []).flatMap((node) => {
    const classes = zipMapClasses(node)
    return classes === undefined ? [] : [classes]
  })
  if (named.length === 0) return undefined
  const { model: changed, applied } = await runPasses(model, [dropZipMaps], { signal })
  if (applied.length === 0) return undefined
  const [first = []] = named
  const agree = first.length > 0 && named.every((classes) => JSON.stringify(classes) === JSON.stringify(first))
  return {
    model: changed,
    classes: agree ? first : undefined,
    note: `ZipMap removed: scores are a tensor of [rows, ${first.length}]${agree ? `, of the classes ${shown(first)}` : ''}`,
  }
}

const SHOWN = 10

function shown(classes: readonly string[]): string {
  const more = classes.length > SHOWN ? `, and ${classes.length - SHOWN} more` : ''
  return `${classes.slice(0, SHOWN).map(safeName).join(', ')}${more}`
}

const ZIP_MAP = Buffer.from('ZipMap')

/** The same for a file's bytes, which are decoded only where they name the operator. */
export async function fileWithoutZipMaps(
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<{ readonly bytes: Uint8Array; readonly classes?: readonly string[]; readonly note?: string }> {
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(ZIP_MAP)) return { bytes }
  try {
    const changed = await withoutZipMaps(decodeModel(bytes), signal)
    if (changed === undefined) return { bytes }
    const { model, classes, note } = changed
    return { bytes: encodeModel(model), note, ...(classes && { classes }) }
  } catch (error) {
    // The loader reports its faults.
    if (!isOnnxError(error)) throw error
    return { bytes }
  }
}
