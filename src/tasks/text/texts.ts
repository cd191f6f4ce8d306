import type * as z from 'zod'
import { VergeError } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/json.ts'
import type { Limits } from '../../core/limits.ts'
import { refuseManyItems, validate } from '../../core/validation.ts'
import type { TaskBody } from '../task.ts'

/**
 * A body as a text task takes it: JSON by its schema, or a plain text as its `inputs`.
 * @throws invalid_request, unsupported_media_type, input_too_large
 */
export function readTextBody<T>(schema: z.ZodType<T>, body: TaskBody, { requestItems }: Limits): T {
  refuseManyItems(body.kind === 'json' ? body.value : body.parameters, requestItems)
  if (body.kind === 'json') return validate(schema, body.value, 'The request')
  if (body.mediaType !== 'text/plain') {
    throw new VergeError(
      'unsupported_media_type',
      'This model takes text. Send text/plain, or application/json with "inputs".',
    )
  }
  const inputs = decodeUtf8(body.bytes)
  if (inputs === undefined) throw new VergeError('invalid_request', 'The text is not valid UTF-8.')
  const parameters = body.parameters === undefined ? {} : { parameters: body.parameters }
  return validate(schema, { inputs, ...parameters }, 'The request')
}

/**
 * Checks each text of a list before any of them costs something.
 * @param field where each stands in the request
 * @throws input_too_large, empty_input
 */
export function checkTexts(
  texts: readonly string[],
  field: (place: number) => string,
  { textLength, embeddingsPerRequest }: Limits,
): void {
  if (texts.length > embeddingsPerRequest) {
    throw new VergeError(
      'input_too_large',
      `A request may have at most ${embeddingsPerRequest} texts. Send them in several requests.`,
      { details: { limit_texts: embeddingsPerRequest } },
    )
  }
  for (const [i, text] of texts.entries()) {
    const name = field(i)
    if (text.length > textLength) {
      throw new VergeError(
        'input_too_large',
        `"${name}" may have at most ${textLength} characters. Send a shorter text.`,
        {
          details: { field: name, limit_characters: textLength },
        },
      )
    }
    if (text.trim() === '') {
      throw new VergeError('empty_input', `The text is empty: "${name}". Send some words.`, {
        details: { field: name },
      })
    }
  }
}

/** The name of a text's field: of the whole, where it is the only one and not in a list. */
export function fieldIn(name: string, list: boolean): (place: number) => string {
  return (place) => (list ? `${name}[${place}]` : name)
}

export function emptyText(field: string): VergeError {
  return new VergeError('empty_input', `"${field}" contains no tokens that the model knows. Send some words.`, {
    details: { field },
  })
}

/** Of a bound of the request's own that leaves nothing of a text. */
export function noRoom(field: string, most: number): VergeError {
  return new VergeError(
    'invalid_request',
    `"${field}" may have ${most} tokens, and this model's special tokens take them all. Allow more tokens.`,
    { details: { field, limit_tokens: most } },
  )
}

export function tooManyTokens(field: string, most: number): VergeError {
  return new VergeError('input_too_large', `"${field}" has more than ${most} tokens, the limit of this model.`, {
    details: { field, limit_tokens: most },
  })
}
