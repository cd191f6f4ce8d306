import { VergeError } from '../../../core/errors.ts'

export function damaged(): VergeError {
  return new VergeError('invalid_image', 'The WebP is damaged: its data cannot be decoded. Send it again.')
}

export function incomplete(): VergeError {
  return new VergeError('invalid_image', 'The WebP is incomplete: its data ends too early. Send the whole file.')
}
