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
  /** Whose answers these are; empty for a public model, whose answers are everybody's. */
  readonly scope: string
  readonly inputs: Tensors
  readonly outputs: readonly string[] | undefined
}

/**
 * The SHA-256 of a question, in hexadecimal. Parameters of a request are in it by what they make of the inputs; those
 * that act on the outputs are applied to a kept result as to a fresh one. The order of the inputs does not matter.
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
