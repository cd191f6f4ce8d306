import type { Context } from 'hono'
import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { oipErrors } from '../../protocols/oip/error.ts'
import { type GenerateAnswer, generateRequestSchema } from '../../protocols/oip/generate.ts'
import { eventText } from '../../protocols/sse.ts'
import { STATUS } from '../../protocols/status.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import type { TextCall } from '../generation/call.ts'
import { answerTextRequest } from '../generation/generate.ts'
import type { WriterOf } from '../generation/writer.ts'
import { requestSchemas } from '../openai/request-schemas.ts'
import { generationRequest } from '../openai/sampling.ts'

/** Triton's generate extension: a prompt continued by the model that the path names. */
export function generateText(deps: AppDeps, c: Context<AppEnv>, stream: boolean): Promise<Response> {
  const model = c.req.param('model') ?? ''
  const named = { model, path: '/v1/completions', version: c.req.param('version') }
  return answerTextRequest(deps, c, { read: (body, manifest) => readCall(deps, body, manifest, model, stream) }, named)
}

function readCall({ limits }: AppDeps, body: unknown, manifest: Manifest, asked: string, stream: boolean): TextCall {
  const {
    id,
    model: _,
    parameters,
    text_input: prompt,
    ...beside
  } = validate(generateRequestSchema, body, 'The request')
  const {
    exclude_input_in_output: exclude = stream,
    stop_words,
    stream: wanted,
    ...sampling
  } = { ...beside, ...parameters }
  if (wanted === true && !stream) {
    throw refused(
      'stream',
      'is for POST /v2/models/{model}/generate_stream. Send the request there, or remove the field.',
    )
  }
  if (stream && !exclude) {
    throw refused('exclude_input_in_output', 'must be true in a stream, which has the new text alone.')
  }
  const asCompletion = { model: asked, prompt, ...(stop_words && { stop: stop_words }), ...sampling }
  const request = validate(requestSchemas(limits).completion, asCompletion, 'The request')
  const heading = { ...(id !== undefined && { id }), model_name: asked, model_version: manifest.version }
  return {
    prompt: { kind: 'text', prompts: [prompt], field: () => 'text_input' },
    request: generationRequest(request),
    stream,
    writer: generateWriter(heading, exclude ? '' : prompt),
  }
}

/** Each part is an answer of its own, which has the new text. */
function generateWriter(heading: Omit<GenerateAnswer, 'text_output'>, before: string): WriterOf {
  const answer = (text_output: string): GenerateAnswer => ({ ...heading, text_output })
  return () => ({
    mediaType: 'text/event-stream; charset=utf-8',
    whole: ([text]) => answer(before + (text?.text ?? '')),
    opening: () => '',
    text: (_, text) => eventText(answer(text)),
    ending: () => '',
    closing: () => '',
    failed: (error, requestId) => eventText(oipErrors.body(error, requestId, STATUS[error.code])),
  })
}

function refused(field: string, why: string): VergeError {
  return new VergeError('invalid_request', `The request, field "${field}": ${why}`, { details: { field } })
}
