import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { integerIn, list, type OptionValues, text } from '../terminal/values.ts'

/** Which tokens of a model's vocabulary stay. */
export interface TrimSettings {
  /** Codes of languages; empty where none are given. */
  readonly languages: readonly string[]
  /** A file of texts. */
  readonly corpus: string | undefined
  /** Tokens at the most. */
  readonly most: number | undefined
}

export const TRIM_OPTIONS = {
  languages: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: 'keep only tokens in the letters of these languages: en,de,fr; may be repeated',
  },
  'keep-corpus': {
    type: 'string',
    value: 'FILE',
    help: 'keep the tokens of these texts: .jsonl with "text", or .txt with a text a line; may end in .gz',
  },
  vocabulary: {
    type: 'string',
    value: 'N',
    help: 'keep at most N tokens: the most frequent in --keep-corpus, then in the training of the tokenizer',
  },
} as const satisfies Options

const MOST_TOKENS = 10_000_000

/** @returns undefined where nothing is asked for. @throws UsageError */
export function trimSettings(values: OptionValues): TrimSettings | undefined {
  const lists = list(values, 'languages')
  const languages = lists.flatMap((codes) => codes.split(',').map((code) => code.trim()))
  if (languages.includes('')) {
    throw new UsageError(`--languages takes codes separated by commas, such as en,de, not "${lists.join(' ')}".`)
  }
  const corpus = text(values, 'keep-corpus')
  const most = integerIn(values, 'vocabulary', 1, MOST_TOKENS)
  return languages.length === 0 && corpus === undefined && most === undefined ? undefined : { languages, corpus, most }
}

/** A model that draws random numbers cannot be compared with its original. */
export function cannotTrimRandom(): UsageError {
  return new UsageError(
    'The vocabulary of a model that draws random numbers cannot be trimmed, because its outputs cannot be compared. Remove --languages, --keep-corpus and --vocabulary.',
  )
}
