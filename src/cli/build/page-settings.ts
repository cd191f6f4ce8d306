import { type Description, PAGES } from '../pack/description.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { integerIn, type OptionValues, oneOf, text } from '../terminal/values.ts'

/** Whether tables of embeddings are read by page at the edge, and what stays in memory of them. */
export interface PageSettings {
  /** As `verge.json` has them. */
  readonly fields: Pick<Description, 'pages' | 'hotRows' | 'hotTexts'>
  /** The file that `hotTexts` names, where an option gives it. */
  readonly texts: string | undefined
}

export const PAGE_OPTIONS = {
  pages: {
    type: 'string',
    value: 'MODE',
    choices: PAGES,
    help: 'large tables of embeddings by page at the edge: auto (default: where the model would not fit), on, off',
  },
  'hot-rows': {
    type: 'string',
    value: 'N',
    help: 'rows of such a table that stay in memory (default: as many as 6 MiB hold)',
  },
  'hot-texts': {
    type: 'string',
    value: 'FILE',
    help: 'texts like those of requests (.txt, .jsonl): rows of their tokens stay in memory first',
  },
} as const satisfies Options

const MOST_ROWS = 1_000_000

/** @throws UsageError where an option does not accept the value */
export function pageSettings(values: OptionValues): PageSettings {
  const pages = oneOf(values, 'pages', PAGES)
  const hotRows = integerIn(values, 'hot-rows', 1, MOST_ROWS)
  const texts = text(values, 'hot-texts')
  const ending = texts === undefined ? undefined : ['.txt', '.jsonl'].find((known) => texts.endsWith(known))
  if (texts !== undefined && ending === undefined) {
    throw new UsageError(`--hot-texts takes a .txt or .jsonl file, not "${texts}".`)
  }
  return {
    fields: {
      ...(pages !== undefined && { pages }),
      ...(hotRows !== undefined && { hotRows }),
      ...(ending !== undefined && { hotTexts: `hot-texts${ending}` }),
    },
    texts,
  }
}
