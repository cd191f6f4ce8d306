import { VergeError } from '../../core/errors.ts'
import { bytesFromBase64 } from '../base64.ts'

/**
 * The bytes of a JSON request's `inputs`: base64, or a `data:` URL of it. No other URL is ever followed.
 * @throws invalid_request, input_too_large
 */
export function bytesOfInputs(inputs: string, maxBytes: number): Uint8Array {
  if (/^\s*https?:/i.test(inputs)) {
    throw refused('No URL is ever fetched. Send the bytes themselves, or base64 in "inputs".')
  }
  const base64 = inputs.startsWith('data:') ? contentOf(inputs) : inputs
  // Four characters stand for three bytes; line breaks are allowed for.
  if (base64.length > Math.ceil(maxBytes / 3) * 4 * 1.05) {
    throw new VergeError('input_too_large', `A file may have at most ${maxBytes} bytes. Send a part of it.`, {
      details: { limit_bytes: maxBytes, field: 'inputs' },
    })
  }
  const bytes = bytesFromBase64(base64)
  if (bytes === undefined) throw refused('"inputs" is neither base64 nor a data: URL.')
  return bytes
}

function contentOf(url: string): string {
  const comma = url.indexOf(',')
  if (comma === -1 || !url.slice(0, comma).toLowerCase().endsWith(';base64')) {
    throw refused('"inputs" is a data: URL without base64 content.')
  }
  return url.slice(comma + 1)
}

function refused(message: string): VergeError {
  return new VergeError('invalid_request', message, { details: { field: 'inputs' } })
}
