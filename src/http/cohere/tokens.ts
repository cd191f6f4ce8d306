import { validate } from '../../core/validation.ts'
import {
  type CohereMeta,
  cohereDetokenizeRequestSchema,
  cohereTokenizeRequestSchema,
} from '../../protocols/cohere/wire.ts'
import { decodeTokens, type TokenOfText, tokenizeTexts } from '../../tasks/text/tokens.ts'
import type { TextCall } from '../text-call.ts'

const META: CohereMeta = { api_version: { version: '1' } }

/** `POST /v1/tokenize`: without special tokens. */
export async function tokenize(call: TextCall, body: unknown): Promise<unknown> {
  const { text } = validate(cohereTokenizeRequestSchema, body, 'The request')
  const [tokens = []] = await tokenizeTexts([text], { addSpecial: false, field: () => 'text' }, call)
  return { tokens: tokens.map(({ id }) => id), token_strings: stringsOf(tokens, text), meta: META }
}

/** The parts of a text that its tokens stand for, each with the space before it. */
function stringsOf(tokens: readonly TokenOfText[], text: string): string[] {
  let end = 0
  return tokens.map(({ piece, place }) => {
    if (place === undefined) return piece
    const part = text.slice(Math.min(end, place[0]), place[1])
    end = place[1]
    return part
  })
}

/** `POST /v1/detokenize`. */
export async function detokenize(call: TextCall, body: unknown): Promise<unknown> {
  const { tokens } = validate(cohereDetokenizeRequestSchema, body, 'The request')
  const [text = ''] = await decodeTokens([tokens], { skipSpecial: false, field: () => 'tokens' }, call)
  return { text, meta: META }
}
