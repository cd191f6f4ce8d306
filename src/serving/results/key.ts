import { canonicalBytes } from '../../catalog/canonical-json.ts'
import type { Sha256Factory } from '../../core/runtime.ts'
import type { Tensors } from '../../core/tensors.ts'

/** To be raised when the form of keys or entries changes, so that no old entry is read. */
const FORM = 1

/** All that a result depends on. */
export interface CachedQuestion {
  /** The engine with its version: another one rounds otherwise. */
  readonly engine: string
  /** SHA-256 of the artifact that runs. */
  readonly artifact: string
  /** SHA-256 of the manifest: the model's settings. */
  readonly manifest: string
  /** The caller that may get these answers; empty for a public model, whose answers are shared. */
  readonly scope: string
  readonly inputs: Tensors
  readonly outputs: readonly string[] | undefined
}

/**
 * SHA-256 of a cache key, in hexadecimal. Parameters that change the inputs are part of it through the inputs;
 * parameters that act on outputs are applied to cached results too. The order of the inputs does not matter.
 */
export async function keyOf(sha256: Sha256Factory, question: CachedQuestion): Promise<string> {
  const { inputs, outputs, ...rest } = question
  const sorted = [...inputs].sort(([a], [b]) => (a < b ? -1 : 1))
  const digest = sha256()
  await digest.update(
    canonicalBytes({
      ...rest,
      form: FORM,
      outputs: outputs ?? null,
      // the head fixes how many bytes of each tensor follow it, so that no two questions have the same bytes
      inputs: sorted.map(([name, { datatype, shape, data }]) => ({
        name,
        datatype,
        shape,
        ...(datatype === 'BYTES' && { data }),
      })),
    }),
  )
  for (const [, value] of sorted) {
    if (value.datatype === 'BYTES') continue
    await digest.update(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength))
  }
  return digest.hex()
}
