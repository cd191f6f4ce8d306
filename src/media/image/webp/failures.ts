import { VergeError } from '../../../core/errors.ts'

export function damaged(): VergeError {
  return new VergeError('invalid_image', 'The WebP is damaged: its data do not decode. Send it again.')
}

export function incomplete(): VergeError {
  return new VergeError('invalid_image', 'The WebP is incomplete: its data end too early. Send all of it.')
}
