import { readFile, stat } from 'node:fs/promises'
import { isObject } from '../../../core/objects.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { SOURCE_LIMITS } from '../limits.ts'

/**
 * A tokenizer as static embeddings use it: without special tokens around a text, cutting and padding, which a
 * `tokenizer.json` may ask for because the model that it comes from did.
 * @param tokens that the table has a row for
 * @throws UsageError for one that is none, or has tokens without a row
 */
export async function staticTokenizer(path: string, tokens: number, label: string): Promise<string> {
  const { size } = await stat(path)
  if (size > SOURCE_LIMITS.settingsBytes) {
    throw new UsageError(`${label}: its tokenizer.json has ${size} bytes; the limit is ${SOURCE_LIMITS.settingsBytes}.`)
  }
  const tokenizer = parsed(await readFile(path, 'utf8'))
  if (tokenizer === undefined) throw new UsageError(`${label}: its tokenizer.json is not valid. Save the model again.`)
  const greatest = greatestId(tokenizer)
  if (greatest >= tokens) {
    throw new UsageError(
      `${label}: its tokenizer.json has a token ${greatest}, and its table rows for ${tokens} tokens. Put the files of one model together.`,
    )
  }
  return JSON.stringify({ ...tokenizer, post_processor: null, truncation: null, padding: null })
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && isObject(value.model) ? value : undefined
  } catch {
    return undefined
  }
}

/** The greatest id of a tokenizer; -1 for one without tokens. */
function greatestId({ added_tokens: added, model }: Readonly<Record<string, unknown>>): number {
  let greatest = -1
  const note = (id: unknown): void => {
    if (typeof id === 'number' && id > greatest) greatest = id
  }
  const vocabulary = isObject(model) ? model.vocab : undefined
  // Unigram models list their pieces by id.
  if (Array.isArray(vocabulary)) note(vocabulary.length - 1)
  else if (isObject(vocabulary)) for (const id of Object.values(vocabulary)) note(id)
  if (Array.isArray(added)) for (const token of added) note(isObject(token) ? token.id : undefined)
  return greatest
}
