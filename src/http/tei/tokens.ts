import { validate } from '../../core/validation.ts'
import { type TeiToken, teiDecodeRequestSchema, teiTokenizeRequestSchema } from '../../protocols/tei/wire.ts'
import { fieldIn } from '../../tasks/text/texts.ts'
import { decodeTokens, type TokenOfText, tokenizeTexts } from '../../tasks/text/tokens.ts'
import { emptyList } from '../../tasks/vectors/embedding-inputs.ts'
import { askedPrompt } from '../../tasks/vectors/embedding-prompts.ts'
import type { TextCall } from '../text-call.ts'

/** `POST /tokenize`: a list of tokens for each text, also for one. */
export async function tokenize(call: TextCall, body: unknown): Promise<readonly (readonly TeiToken[])[]> {
  const request = validate(teiTokenizeRequestSchema, body, 'The request')
  const { inputs } = request
  const sent = typeof inputs === 'string' ? [inputs] : inputs
  if (sent.length === 0) throw emptyList('inputs')
  const { text: prompt } = askedPrompt(call.manifest, { prompt_name: request.prompt_name ?? undefined })
  const texts = prompt === '' ? sent : sent.map((text) => prompt + text)
  const field = fieldIn('inputs', sent === inputs)
  const lists = await tokenizeTexts(texts, { addSpecial: request.add_special_tokens ?? true, field }, call)
  return lists.map((tokens, i) => described(tokens, texts[i] ?? ''))
}

/** With places counted in bytes, as its tokenizer does. */
function described(tokens: readonly TokenOfText[], text: string): TeiToken[] {
  const bytes = byteCounter(text)
  return tokens.map(({ id, piece, place, special }) => {
    if (place === undefined) return { id, text: piece, special, start: null, stop: null }
    const [start, end] = place
    return { id, text: text.slice(start, end), special, start: bytes(start), stop: bytes(end) }
  })
}

/** Bytes of UTF-8 before each place of a text. */
function byteCounter(text: string): (place: number) => number {
  const counts = new Uint32Array(text.length + 1)
  for (let i = 0; i < text.length; i++) counts[i + 1] = (counts[i] ?? 0) + bytesOf(text.charCodeAt(i))
  return (place) => counts[place] ?? 0
}

/** Of one UTF-16 unit; half of a pair is two of the pair's four. */
function bytesOf(unit: number): number {
  if (unit < 0x80) return 1
  if (unit < 0x800) return 2
  return unit >= 0xd800 && unit < 0xe000 ? 2 : 3
}

/** `POST /decode`: a text for each list of ids, also for one. */
export async function decode(call: TextCall, body: unknown): Promise<readonly string[]> {
  const { ids, skip_special_tokens: skip } = validate(teiDecodeRequestSchema, body, 'The request')
  const single = typeof ids[0] === 'number'
  const lists = (single ? [ids] : ids) as readonly (readonly number[])[]
  if (lists.length === 0) throw emptyList('ids')
  return decodeTokens(lists, { skipSpecial: skip ?? true, field: fieldIn('ids', !single) }, call)
}
