import { VergeError } from '../../core/errors.ts'

/**
 * Bytes that are written as a list of numbers, as Workers AI takes pictures. The list's length is checked before anything
 * is allocated for it.
 * @throws input_too_large, invalid_request
 */
export function byteList(list: readonly unknown[], field: string, maxBytes: number): Uint8Array<ArrayBuffer> {
  if (list.length > maxBytes) {
    throw new VergeError('input_too_large', `"${field}" may have at most ${maxBytes} bytes. Send a smaller file.`, {
      details: { field, limit_bytes: maxBytes },
    })
  }
  const bytes = new Uint8Array(list.length)
  for (let i = 0; i < list.length; i++) {
    const value = list[i]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255) {
      throw new VergeError('invalid_request', `The request, field "${field}[${i}]": a byte from 0 to 255 is needed.`, {
        details: { field: `${field}[${i}]` },
      })
    }
    bytes[i] = value
  }
  return bytes
}
