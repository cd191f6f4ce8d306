import { readFile, stat } from 'node:fs/promises'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Signature } from '../../core/tensors.ts'
import { compiledTokenizer, TextTokenizer } from '../../media/text/tokenizer.ts'
import type { LabelOutcome } from './labels.ts'
import { readSettings, type Settings, sizeOf, stringOf } from './settings.ts'
import { slowTokenizer } from './slow-tokenizer.ts'
import { tokenizerFindings } from './text-keys.ts'

export interface TextSettings {
  readonly tokenizer: string
  readonly maxTokens: number
  readonly truncationSide?: 'left'
  readonly notes: readonly string[]
}

/** The part of it that a manifest keeps. */
export function textPreprocess({ maxTokens, truncationSide }: TextSettings) {
  return { maxTokens, ...(truncationSide && { truncationSide }) }
}

/** Inputs that the server makes of a text. */
const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids']

/** Position embeddings of these begin after the padding's: two of `max_position_embeddings` are no places for tokens. */
const OFFSET_POSITIONS =
  /^(roberta|xlm-roberta|xlm-roberta-xl|camembert|mpnet|longformer|luke|mluke|ibert|data2vec-text)$/

/** What a tokenizer has to be fit for. */
export interface TokenizerUse {
  /** The task makes text of tokens again. */
  readonly writes?: boolean
  /** Whether its vocabulary is trimmed after this, and its size checked then. Left out where it cannot be trimmed. */
  readonly trims?: boolean
}

/** How a text becomes tokens, by the files beside the model. */
export async function textSettings(
  files: ReadonlyMap<string, string>,
  config: Settings,
  signature: Signature,
  use: TokenizerUse = {},
): Promise<LabelOutcome<TextSettings>> {
  const problem = unfitInputs(signature) ?? (await unfitTokenizer(files, use))
  if (problem !== undefined) return { problem }
  const findings = await tokenizerFindings(files)
  if ('problem' in findings) return findings
  const notes = [...findings.value]
  const side = (await readSettings(files, 'tokenizer_config.json'))?.truncation_side === 'left' ? 'left' : undefined
  if (side !== undefined) notes.push('long texts lose their beginning, as tokenizer_config.json says')
  const limits = await tokenLimits(files, config)
  const least = Math.min(...limits)
  const maxTokens = Math.min(least, LIMITS.textTokens)
  if (limits.length === 0) notes.push(`texts are truncated to ${maxTokens} tokens, because no file sets a limit`)
  else if (least > maxTokens) {
    notes.push(
      `texts are truncated to ${maxTokens} tokens; the model takes ${least}, but an isolate may lack the memory`,
    )
  } else notes.push(`texts are truncated to ${maxTokens} tokens, the limit of the model`)
  return { value: { tokenizer: 'tokenizer.json', maxTokens, ...(side && { truncationSide: side }), notes } }
}

async function tokenLimits(files: ReadonlyMap<string, string>, config: Settings): Promise<number[]> {
  const settings = (await readSettings(files, 'tokenizer_config.json')) ?? {}
  const positions = sizeOf(config.max_position_embeddings)
  const offset = OFFSET_POSITIONS.test(stringOf(config.model_type) ?? '') ? 2 : 0
  // transformers writes 1e30 where a tokenizer has no limit, which is no safe integer.
  const limits = [sizeOf(settings.model_max_length), positions === undefined ? undefined : positions - offset]
  return limits.flatMap((limit) => (limit !== undefined && limit > 0 ? [limit] : []))
}

function unfitInputs({ inputs }: Signature): string | undefined {
  const odd = inputs.find(
    ({ name, datatype }) => !INPUTS.includes(name) || (datatype !== 'INT64' && datatype !== 'INT32'),
  )
  if (odd !== undefined) return `its input "${odd.name}" cannot be computed from a text`
  const ids = inputs.find(({ name }) => name === 'input_ids')
  if (ids === undefined) return 'it has no input "input_ids"'
  const [, length] = ids.shape
  if (ids.shape.length !== 2) return 'its "input_ids" do not have one row of tokens per text'
  // The server sends as many tokens as a text has.
  return typeof length === 'number' && length >= 0
    ? `it takes exactly ${length} tokens, but the length of texts varies; export it with a dynamic sequence axis`
    : undefined
}

/** Why a model's tokenizer.json cannot be used here; undefined if it can. */
export async function unfitTokenizer(
  files: ReadonlyMap<string, string>,
  { trims, writes = false }: TokenizerUse = {},
): Promise<string | undefined> {
  const path = files.get('tokenizer.json')
  if (path === undefined) {
    return 'the folder has no tokenizer.json; create it with transformers: AutoTokenizer.from_pretrained(name).save_pretrained(folder)'
  }
  const { size } = await stat(path)
  if (size > LIMITS.originTokenizerBytes)
    return `its tokenizer.json has ${size} bytes, but the limit is ${LIMITS.originTokenizerBytes}`
  try {
    const bytes = new Uint8Array(await readFile(path))
    const image = compiledTokenizer(bytes)
    if (image.length > LIMITS.tokenizerImageBytes && trims !== true) {
      const remedy = trims === undefined ? '' : '; trim its vocabulary with --languages, --keep-corpus or --vocabulary'
      return `its tokenizer.json takes ${image.length} bytes when it is compiled, but the limit is ${LIMITS.tokenizerImageBytes}${remedy}`
    }
    const tokenizer = TextTokenizer.open(image)
    if (writes) tokenizer.join([])
    return slowTokenizer(new TextDecoder().decode(bytes), tokenizer)
  } catch (error) {
    if (!isVergeError(error)) throw error
    const { cause } = error
    return `its tokenizer.json has a kind that Verge does not support${cause instanceof Error ? ` (${cause.message})` : ''}`
  }
}
