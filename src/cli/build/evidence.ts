import { createHash } from 'node:crypto'
import type { Manifest } from '../../catalog/manifest.ts'
import type { Tensor } from '../../core/tensors.ts'
import type { Sample } from '../../quantize/types.ts'

/** A digest of samples: of every name, type, shape, element and label, in order. */
export function samplesDigest(samples: readonly Sample[]): string {
  const hash = createHash('sha256')
  for (const { inputs, label } of samples) {
    hash.update(`sample ${label ?? ''}\n`)
    for (const [name, tensor] of inputs) {
      hash.update(`${JSON.stringify([name, tensor.datatype, tensor.shape])}\n`).update(bytesOf(tensor))
    }
  }
  return hash.digest('hex')
}

function bytesOf({ data }: Tensor): Uint8Array | string {
  if (!ArrayBuffer.isView(data)) return JSON.stringify(data)
  const { buffer, byteLength, byteOffset } = data
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** The part of a packed model that a proof depends on: everything except its name, version and measurements. */
export function provenPart({ model: _, version: __, artifacts, ...rest }: Manifest): object {
  return { ...rest, artifacts: artifacts.map(({ cost: _, accuracy: __, ...artifact }) => artifact) }
}
