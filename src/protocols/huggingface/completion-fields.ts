import { VergeError } from '../../core/errors.ts'

/**
 * What `@huggingface/inference` makes of `textGeneration`: a body of OpenAI's, with the parameters of
 * text-generation-inference copied into it by their own names. Those that mean something are said in OpenAI's words.
 * @throws invalid_request for what has no equivalent
 */
export function completionFields(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { do_sample: sample, return_full_text: full, stop_sequences: stops, details: _, ...rest } = body
  if (full === true) {
    throw new VergeError(
      'invalid_request',
      'The request, field "return_full_text": this route returns only the new text. Remove the field, or use /run/{model}.',
      { details: { field: 'return_full_text' } },
    )
  }
  return {
    ...rest,
    // The likeliest token, as text-generation-inference has it.
    ...(sample === false && { temperature: 0 }),
    ...(stops !== undefined && rest.stop === undefined && { stop: stops }),
  }
}
