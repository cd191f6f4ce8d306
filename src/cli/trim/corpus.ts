import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { TextTokenizer } from '../../media/text/tokenizer.ts'
import type { Items, Refuse } from '../samples/items.ts'
import { jsonLines, plainLines } from '../samples/lines.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { ProgressTask } from '../terminal/progress.ts'

/** How often each token occurs in the texts of a corpus, by its number. */
export type TokenCounts = ReadonlyMap<number, number>

export interface CountOptions {
  readonly signal: AbortSignal
  /** How a text reaches the tokenizer. */
  readonly spell: (text: string) => string
  readonly task: ProgressTask
}

/**
 * Counts the tokens of a corpus: `.jsonl` (`{"text" | "inputs": "..."}` a line) or `.txt` (a text a line), each packed with
 * gzip or not. Reads one text at a time.
 * @throws UsageError for a file that cannot be read or has no texts
 */
export async function countTokens(
  path: string,
  tokenizer: TextTokenizer,
  { signal, spell, task }: CountOptions,
): Promise<TokenCounts> {
  const counts = new Map<number, number>()
  let texts = 0
  for await (const item of await itemsOf(path)) {
    signal.throwIfAborted()
    const { content } = await item.read()
    if (content.kind !== 'inputs') throw badCorpus(item.where, 'it has no text. Give a "text" in each line.')
    for (const { id } of tokenizer.tokens(spell(content.inputs))) counts.set(id, (counts.get(id) ?? 0) + 1)
    task.set(++texts)
  }
  if (counts.size === 0) {
    throw new UsageError(`--keep-corpus ${basename(path)} has no texts. Give a file with a text in each line.`)
  }
  return counts
}

const badCorpus: Refuse = (where, what, cause) => new UsageError(`--keep-corpus ${where}: ${what}`, { cause })

async function itemsOf(path: string): Promise<Items> {
  await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--keep-corpus ${path} cannot be read (${error.code}). Give a .jsonl or .txt file.`, {
      cause: error,
    })
  })
  const name = path.replace(/\.gz$/, '')
  if (/\.(?:jsonl|ndjson)$/.test(name)) return jsonLines(path, badCorpus)
  if (name.endsWith('.txt')) return plainLines(path, badCorpus)
  throw new UsageError('--keep-corpus takes .jsonl or .txt files (each may end in .gz).')
}
