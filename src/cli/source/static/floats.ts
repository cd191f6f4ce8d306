import { open } from 'node:fs/promises'
import { throwIfAborted } from '../../../core/errors.ts'
import { halves } from '../../../core/tensors.ts'
import type { StoredTensor } from '../safetensors.ts'

/** Bytes that are read at once; a whole number of elements of every datatype. */
const PIECE_BYTES = 1 << 20

type ToFloats = (bytes: Uint8Array<ArrayBuffer>) => Float32Array

/** How elements become floats. Halves, brain floats and bytes are represented exactly; doubles are rounded. */
const TO_FLOATS: Readonly<Record<string, ToFloats>> = {
  F32: ({ buffer }) => new Float32Array(buffer),
  F64: ({ buffer }) => Float32Array.from(new Float64Array(buffer)),
  F16: ({ buffer }) => Float32Array.from(halves(new Uint16Array(buffer))),
  // The upper half of a float.
  BF16: ({ buffer }) => new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer),
  I8: ({ buffer }) => Float32Array.from(new Int8Array(buffer)),
}

/** Datatypes that tables and weights may have. */
export const FLOAT_DTYPES: readonly string[] = Object.keys(TO_FLOATS)

/** The elements of a tensor as floats, a piece after the other: of a large table only a piece is in memory. */
export async function* floatsOf(
  path: string,
  { bytes: length, dtype, offset }: StoredTensor,
  signal?: AbortSignal,
): AsyncGenerator<Float32Array> {
  for await (const piece of rangeOf(path, offset, length, signal)) {
    const toFloats = TO_FLOATS[dtype]
    if (toFloats !== undefined) yield toFloats(piece)
  }
}

/** The elements of a tensor of 32 or 64-bit integers. */
export async function integersOf(path: string, tensor: StoredTensor, signal?: AbortSignal): Promise<Float64Array> {
  const wide = tensor.dtype === 'I64'
  const values = new Float64Array(tensor.bytes / (wide ? 8 : 4))
  let at = 0
  for await (const { buffer } of rangeOf(path, tensor.offset, tensor.bytes, signal)) {
    for (const value of wide ? new BigInt64Array(buffer) : new Int32Array(buffer)) values[at++] = Number(value)
  }
  return values
}

async function* rangeOf(
  path: string,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const file = await open(path)
  try {
    for (let done = 0; done < length; ) {
      throwIfAborted(signal)
      const piece = new Uint8Array(Math.min(PIECE_BYTES, length - done))
      for (let read = 0; read < piece.length; ) {
        const { bytesRead } = await file.read(piece, read, piece.length - read, offset + done + read)
        if (bytesRead === 0) throw new Error('The file became shorter while it was read.')
        read += bytesRead
      }
      done += piece.length
      yield piece
    }
  } finally {
    await file.close()
  }
}
