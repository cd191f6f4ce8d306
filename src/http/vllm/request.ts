import { VergeError } from '../../core/errors.ts'
import { emptyText } from '../../tasks/text/texts.ts'
import { tokenizeTexts } from '../../tasks/text/tokens.ts'
import { type Inputs, inputsOf, type SentInputs } from '../../tasks/vectors/embedding-inputs.ts'
import { embedVectors, type TokenVectors } from '../../tasks/vectors/vectors.ts'
import type { TextCall } from '../text-call.ts'

/** How a request says what becomes of texts that are too long. */
interface VllmCutting {
  readonly truncate_prompt_tokens?: number | null | undefined
  readonly truncation_side?: 'left' | 'right' | null | undefined
}

/** A text that is too long is refused unless the request has it cut: to a number of tokens, or to what the model takes. */
export function cuttingOf({ truncate_prompt_tokens: most, truncation_side: side }: VllmCutting) {
  const cut = most !== undefined && most !== null
  return {
    truncate: cut,
    ...(cut && most > 0 && { maxTokens: most }),
    ...(typeof side === 'string' && { side }),
  }
}

interface VllmActivation {
  readonly use_activation?: boolean | null | undefined
  readonly activation?: boolean | null | undefined
  readonly softmax?: boolean | null | undefined
}

/** Whether scores are wanted as the model answers them. */
export function isRaw({ activation, softmax, use_activation: use }: VllmActivation): boolean {
  return (use ?? activation ?? softmax ?? true) === false
}

interface VllmEmbedding extends VllmCutting {
  readonly input: SentInputs
  readonly add_special_tokens?: boolean | null | undefined
  readonly dimensions?: number | null | undefined
  readonly normalize?: boolean | null | undefined
  readonly use_activation?: boolean | null | undefined
}

export interface MadeVectors {
  readonly dense: readonly Float32Array[]
  readonly tokens: readonly TokenVectors[]
  readonly total: number
}

/** Vectors of one kind, by the request's own fields. Prompts are not known there: the request's text is all of it. */
export async function vectorsOf(
  call: TextCall,
  request: VllmEmbedding,
  kind: 'dense' | 'tokens',
): Promise<MadeVectors> {
  const { dimensions, normalize, use_activation: activation } = request
  const cutting = cuttingOf(request)
  const { inputs, field } = await withoutSpecials(call, request, inputsOf(request.input, 'input', call.limits))
  call.accepted()
  const length = normalize ?? activation
  const { maxTokens } = cutting
  const {
    dense = [],
    tokens = [],
    total,
  } = await embedVectors(
    inputs,
    [kind],
    {
      field,
      truncate: cutting.truncate,
      ...(maxTokens !== undefined && { maxTokens: () => maxTokens }),
      ...(cutting.side !== undefined && { truncation_direction: cutting.side }),
      ...(typeof length === 'boolean' && { normalize: length }),
      ...(typeof dimensions === 'number' && { dimensions }),
    },
    call,
  )
  return { dense, tokens, total }
}

/** Texts as their own tokens alone, where the request wants no special ones. */
async function withoutSpecials(call: TextCall, request: VllmEmbedding, sent: Inputs): Promise<Inputs> {
  if (request.add_special_tokens !== false) return sent
  const { field } = sent
  const { maxTokens, ...cutting } = cuttingOf(request)
  const own = call.manifest.text?.maxTokens ?? call.limits.textTokens
  const texts = sent.inputs.filter((input) => typeof input === 'string')
  const options = { ...cutting, maxTokens: Math.min(maxTokens ?? own, own), addSpecial: false, field }
  const lists = (await tokenizeTexts(texts, options, call)).map((tokens) => tokens.map(({ id }) => id))
  let next = 0
  const inputs = sent.inputs.map((input) => (typeof input === 'string' ? (lists[next++] ?? []) : input))
  const empty = inputs.findIndex((ids) => ids.length === 0)
  if (empty !== -1) throw emptyText(field(empty))
  return { field, inputs }
}

/** Inputs that are texts. @throws not_implemented for token ids, or texts without special tokens */
export function textsAlone(
  { add_special_tokens: specials, input }: Pick<VllmEmbedding, 'add_special_tokens' | 'input'>,
  call: TextCall,
): { readonly texts: readonly string[]; readonly field: (place: number) => string } {
  const { inputs, field } = inputsOf(input, 'input', call.limits)
  const texts = inputs.filter((each) => typeof each === 'string')
  if (texts.length < inputs.length || specials === false) {
    throw new VergeError(
      'not_implemented',
      'Labels and scores of token ids, or of texts without special tokens, are not implemented. Send texts.',
      { details: { field: specials === false ? 'add_special_tokens' : 'input' } },
    )
  }
  return { texts, field }
}
