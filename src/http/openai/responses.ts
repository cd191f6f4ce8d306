import type { Context } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { isObject } from '../../core/objects.ts'
import { validate } from '../../core/validation.ts'
import type { Message } from '../../generate/chat.ts'
import type { ResponsesRequest } from '../../protocols/openai/responses.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { answerTextRequest } from '../generation/generate.ts'
import {
  isAbsent,
  isEmptyList,
  isFalse,
  type LaterFields,
  notYet,
  refuseLater,
  refuseOtherParts,
} from '../generation/later-fields.ts'
import { requestSchemas } from './request-schemas.ts'
import { responseWriter } from './response-writer.ts'
import { generationRequest } from './sampling.ts'

/** `POST /v1/responses`: an answer to a text or to messages, of which nothing is kept. */
export function createResponse(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const read = (body: unknown) => {
    refuseUnsupported(body)
    const request = validate(requestSchemas(deps.limits).responses, body, 'The request')
    const { instructions = null, max_output_tokens: most = null, temperature, top_p: topP } = request
    return {
      prompt: { kind: 'chat' as const, messages: messagesOf(request), field: 'input' },
      request: generationRequest({ ...request, max_tokens: most }),
      stream: request.stream ?? false,
      writer: responseWriter({
        instructions,
        max_output_tokens: most,
        metadata: request.metadata ?? {},
        temperature: temperature ?? 1,
        top_p: topP ?? 1,
      }),
    }
  }
  return answerTextRequest(deps, c, { read })
}

/** Of what a client may ask to have included, this alone would add something to a text. */
const LOGPROBS = 'message.output_text.logprobs'

const LATER: LaterFields = {
  previous_response_id: isAbsent,
  conversation: isAbsent,
  background: isFalse,
  tools: isEmptyList,
  tool_choice: (value) => isAbsent(value) || value === 'none' || value === 'auto',
  prompt: isAbsent,
  truncation: (value) => isAbsent(value) || value === 'disabled',
  include: (value) => isAbsent(value) || (Array.isArray(value) && !value.includes(LOGPROBS)),
  top_logprobs: (value) => isAbsent(value) || value === 0,
  moderation: isAbsent,
  context_management: isEmptyList,
}

const TEXTS: ReadonlySet<string> = new Set(['input_text', 'output_text'])

/** @throws not_implemented for what would make another answer */
function refuseUnsupported(body: unknown): void {
  if (!isObject(body)) return
  if (!isAbsent(body.previous_response_id)) {
    throw new VergeError(
      'not_implemented',
      'The request, field "previous_response_id": Verge keeps no answers. Send the whole conversation as "input".',
      { details: { field: 'previous_response_id' } },
    )
  }
  refuseLater(body, LATER)
  if (isObject(body.text) && isObject(body.text.format) && body.text.format.type !== 'text') throw notYet('text.format')
  if (!Array.isArray(body.input)) return
  for (const [i, item] of body.input.entries()) {
    if (!isObject(item)) continue
    refuseOtherItem(item.type, i)
    refuseOtherParts(item.content, TEXTS, `input[${i}].content`)
  }
}

function refuseOtherItem(type: unknown, place: number): void {
  if (typeof type !== 'string' || type === 'message') return
  const advice =
    type === 'item_reference'
      ? 'Verge keeps no items. Send the messages themselves: "store" must be false.'
      : `Verge does not support items of type "${type.slice(0, 64)}" yet. Send messages alone.`
  throw new VergeError('not_implemented', `The request, field "input[${place}]": ${advice}`, {
    details: { field: `input[${place}]` },
  })
}

function messagesOf({ input, instructions }: ResponsesRequest): Message[] {
  const said: Message[] =
    typeof input === 'string'
      ? [{ role: 'user', content: input }]
      : input.map(({ content, role }) => ({
          // OpenAI's newer name for the system's role is unknown to templates.
          role: role === 'developer' ? 'system' : role,
          content: typeof content === 'string' ? content : content.map(({ text }) => text).join('\n'),
        }))
  return typeof instructions === 'string' ? [{ role: 'system', content: instructions }, ...said] : said
}
