import type { LookedUpTable, Paging } from '../../../compile/paged.ts'
import { TextTokenizer } from '../../../media/text/tokenizer.ts'
import { type RowOrderOptions, rowOrder } from './row-order.ts'
import { readVocabulary } from './vocabulary.ts'

export interface PagePlanOptions {
  /** The model's `tokenizer.json`. Left out: rows are ordered by number. */
  readonly tokenizer?: Uint8Array | undefined
  /** Texts that requests begin with. */
  readonly prompts?: readonly string[]
  /** Texts like those that the model will get. */
  readonly texts?: readonly string[]
  /** Left out: as many as `HOT_BYTES` hold. */
  readonly hotRows?: number | undefined
}

/** A smaller table costs an isolate less than reads of its pages would cost a request. */
export const LEAST_TABLE_BYTES = 4 * 1024 * 1024

/**
 * 16,384 rows of 384 bytes. With its other weights (22 MB), the order of rows (1 MB) and a run of 512 tokens (5 MB), an
 * encoder of multilingual-e5-small's shape then takes 35 MB of an isolate, and leaves more than that for other models. Half of
 * the tokens of texts in 24 languages are among so many rows; among twice as many are 63 %.
 */
const HOT_BYTES = 6 * 1024 * 1024

/** A text needs a few rows of many pages: small pages waste less, but each has a key and a digest. */
const MOST_PAGE_BYTES = 32 * 1024

/** More special tokens than these are placeholders, which texts do not have. */
const MOST_SPECIAL = 256

/** Says which rows of a table are hot, and how the others lie in pages; undefined for a table that is too small. */
export function pagePlanner(
  options: PagePlanOptions,
): (table: Pick<LookedUpTable, 'rows' | 'rowBytes'>) => Paging | undefined {
  let known: Knowledge | undefined
  return ({ rowBytes, rows }) => {
    if (rows * rowBytes < LEAST_TABLE_BYTES) return undefined
    const hot = options.hotRows ?? Math.floor(HOT_BYTES / rowBytes)
    if (hot >= rows) return undefined
    known ??= knowledgeOf(options)
    return { order: rowOrder({ rows, hot, ...known }), hot, rowsPerPage: rowsPerPage(rowBytes) }
  }
}

/** A power of two. */
function rowsPerPage(rowBytes: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(MOST_PAGE_BYTES / rowBytes)))
}

type Knowledge = Pick<RowOrderOptions, 'always' | 'counts' | 'vocabulary'>

function knowledgeOf({ prompts = [], texts = [], tokenizer: bytes }: PagePlanOptions): Knowledge {
  if (bytes === undefined) return { always: [], counts: new Map(), vocabulary: undefined }
  const tokenizer = TextTokenizer.parse(bytes)
  const counts = new Map<number, number>()
  for (const text of texts) for (const { id } of tokenizer.tokens(text)) counts.set(id, (counts.get(id) ?? 0) + 1)
  const begun = prompts.flatMap((prompt) => tokenizer.tokens(prompt).map(({ id }) => id))
  return { always: [...frameOf(tokenizer), ...begun], counts, vocabulary: readVocabulary(bytes) }
}

/** What stands around texts and between them, and for what is missing or unknown. */
function frameOf(tokenizer: TextTokenizer): number[] {
  const { padId, readsPairs, special, unknownId } = tokenizer
  return [
    ...tokenizer.frame([]).ids,
    ...(readsPairs ? tokenizer.frame([], []).ids : []),
    padId,
    ...(unknownId === undefined ? [] : [unknownId]),
    ...[...special].sort((a, b) => a - b).slice(0, MOST_SPECIAL),
  ]
}
