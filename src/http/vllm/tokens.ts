import { validate } from '../../core/validation.ts'
import { vllmDetokenizeRequestSchema, vllmTokenizeRequestSchema } from '../../protocols/vllm/wire.ts'
import { decodeTokens, tokenizeTexts } from '../../tasks/text/tokens.ts'
import type { TextCall } from '../text-call.ts'
import { maxLengthOf } from './models.ts'

/** `POST /tokenize`. */
export async function tokenize(call: TextCall, body: unknown): Promise<unknown> {
  const request = validate(vllmTokenizeRequestSchema, body, 'The request')
  const options = { addSpecial: request.add_special_tokens ?? true, field: () => 'prompt' }
  const [tokens = []] = await tokenizeTexts([request.prompt], options, call)
  return {
    count: tokens.length,
    max_model_len: maxLengthOf(call.manifest, call.limits),
    tokens: tokens.map(({ id }) => id),
    token_strs: request.return_token_strs ? tokens.map(({ piece }) => piece) : null,
  }
}

/** `POST /detokenize`. */
export async function detokenize(call: TextCall, body: unknown): Promise<unknown> {
  const { tokens } = validate(vllmDetokenizeRequestSchema, body, 'The request')
  const [prompt = ''] = await decodeTokens([tokens], { skipSpecial: false, field: () => 'tokens' }, call)
  return { prompt }
}
