import { configsOf, isConfig, isTokenId, type TokenizerConfig } from './config.ts'

/** A place in what a tokenizer makes of texts: special tokens, or all tokens of the first or second text. */
export type FrameItem =
  | { readonly kind: 'special'; readonly ids: readonly number[]; readonly typeId: number }
  | { readonly kind: 'text'; readonly which: 0 | 1; readonly typeId: number }

/** What a tokenizer's post-processor puts around one text, and around two. */
export interface TokenFrame {
  readonly single: readonly FrameItem[]
  /** Undefined if the tokenizer has no form for two texts. */
  readonly pair: readonly FrameItem[] | undefined
  /** Spaces at the ends of a token are no part of its place in the text. */
  readonly trimOffsets: boolean
  /** But for a single one in front of the first token, which may be one that was put there. */
  readonly keepsFirstSpace: boolean
}

const first = (typeId = 0): FrameItem => ({ kind: 'text', which: 0, typeId })
const second = (typeId: number): FrameItem => ({ kind: 'text', which: 1, typeId })
const UNTRIMMED = { trimOffsets: false, keepsFirstSpace: false }
const BARE: TokenFrame = { single: [first()], pair: [first(), second(1)], ...UNTRIMMED }

/**
 * The frame of a `tokenizer.json`'s `post_processor`. Type ids are those of the Rust library, which gives RoBERTa's
 * second text a 0 as well.
 * @param idOf a token's id in the vocabulary
 * @throws Error for a kind that is not known, or a special token that the vocabulary lacks
 */
export function frameOf(config: unknown, idOf: (token: string) => number | undefined): TokenFrame {
  if (config === null || config === undefined) return BARE
  if (!isConfig(config)) throw new Error('a post-processor is not an object')
  switch (config.type) {
    case 'ByteLevel':
      return { ...BARE, ...trimming(config) }
    case 'TemplateProcessing':
      return template(config, idOf)
    case 'BertProcessing': {
      const [cls, sep] = [special(config.cls), special(config.sep)]
      const single = [cls, first(), sep]
      return { single, pair: [...single, second(1), { ...sep, typeId: 1 }], ...UNTRIMMED }
    }
    case 'RobertaProcessing': {
      const [cls, sep] = [special(config.cls), special(config.sep)]
      const single = [cls, first(), sep]
      return { single, pair: [...single, sep, second(0), sep], ...trimming(config) }
    }
    case 'Sequence': {
      const frames = configsOf(config.processors).map((part) => frameOf(part, idOf))
      // A byte-level step only says what to do with spaces; the frame is the last other one's.
      const own = configsOf(config.processors).findLastIndex(({ type }) => type !== 'ByteLevel')
      const trims = frames.filter(({ trimOffsets }) => trimOffsets)
      return {
        ...(frames[own] ?? BARE),
        trimOffsets: trims.length > 0,
        keepsFirstSpace: trims.every(({ keepsFirstSpace }) => keepsFirstSpace),
      }
    }
    default:
      throw new Error(`Unknown PostProcessor type: ${String(config.type)}`)
  }
}

/** A file that says nothing trims, and adds a space. */
function trimming(config: TokenizerConfig): typeof UNTRIMMED {
  return { trimOffsets: config.trim_offsets !== false, keepsFirstSpace: config.add_prefix_space !== false }
}

/** `["[SEP]", 102]` */
function special(value: unknown): FrameItem & { kind: 'special' } {
  const id = Array.isArray(value) ? value[1] : undefined
  if (!isTokenId(id)) throw new Error('a post-processor names no special token')
  return { kind: 'special', ids: [id], typeId: 0 }
}

function typeOf({ type_id: typeId = 0 }: TokenizerConfig): number {
  if (!isTokenId(typeId)) throw new Error('a template has a type_id that is not a number')
  return typeId
}

function template(config: TokenizerConfig, idOf: (token: string) => number | undefined): TokenFrame {
  const tokens = isConfig(config.special_tokens) ? config.special_tokens : {}
  const idsOf = (name: unknown): number[] => {
    const declared = typeof name === 'string' && Object.hasOwn(tokens, name) ? tokens[name] : undefined
    const ids = isConfig(declared) && Array.isArray(declared.ids) ? declared.ids : [idOf(String(name))]
    if (!ids.every(isTokenId)) {
      throw new Error('a special token is not in the vocabulary')
    }
    return ids
  }
  const itemOf = (item: TokenizerConfig): FrameItem => {
    const { SpecialToken: token, Sequence: sequence } = item
    if (isConfig(token)) return { kind: 'special', ids: idsOf(token.id), typeId: typeOf(token) }
    if (!isConfig(sequence)) throw new Error('a template has a part that is neither a text nor a token')
    return { kind: 'text', which: sequence.id === 'B' ? 1 : 0, typeId: typeOf(sequence) }
  }
  const single = configsOf(config.single).map(itemOf)
  const pair = configsOf(config.pair).map(itemOf)
  const holds = (items: readonly FrameItem[], which: 0 | 1): boolean =>
    items.filter((item) => item.kind === 'text' && item.which === which).length === 1
  if (!holds(single, 0) || holds(single, 1)) throw new Error('a template has no place for the text')
  return { single, pair: holds(pair, 0) && holds(pair, 1) ? pair : undefined, ...UNTRIMMED }
}
