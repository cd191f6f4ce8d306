import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { compiledTokenizer, TextTokenizer } from '../../media/text/tokenizer.ts'
import { encodeModel } from '../../onnx/codec.ts'
import { type TrimmedModel, trimVocabulary } from '../../quantize/trim/trim-vocabulary.ts'
import type { BuildContext } from '../build/context.ts'
import type { LoadedModel } from '../build/load.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import type { Description } from '../pack/description.ts'
import { UsageError } from '../terminal/command-line.ts'
import { countTokens } from './corpus.ts'
import { fixedTexts, spelling } from './fixed-texts.ts'
import { keptIds } from './keep.ts'
import type { TrimSettings } from './options.ts'
import { requiredIds } from './required.ts'
import { trimmedFile } from './rewrite.ts'
import { readVocabulary, type Vocabulary } from './vocabulary.ts'
import { wantedIds } from './wanted.ts'

/** Where tokenizers of trimmed models are put until the model's folder is written. */
const TRIMMED = join(ROOT, '.verge/trimmed')

/** The input with the numbers of tokens, by transformers' name. */
export const TOKENS_INPUT = 'input_ids'

export interface Trimmed {
  /** The trimmed model, with its own tokenizer. */
  readonly loaded: LoadedModel
  /** Old numbers of the tokens that stay, by their new ones. */
  readonly kept: Int32Array
  readonly sizes: TrimmedSizes
  /** Whether the graph has a table of the old numbers. */
  readonly mapped: boolean
}

/** What trimming saves. */
export interface TrimmedSizes {
  readonly tokens: { readonly before: number; readonly after: number }
  /** Bytes of the tables that tokens are looked up in. */
  readonly tables: { readonly before: number; readonly after: number }
  /** Bytes of the compiled tokenizer, and of `tokenizer.json`. */
  readonly tokenizer: { readonly before: number; readonly after: number }
  readonly tokenizerJson: { readonly before: number; readonly after: number }
}

/**
 * Takes tokens out of a model and its tokenizer together.
 * @throws UsageError where the model has no tokenizer, or the options leave nothing; OnnxError where its table of tokens is
 * not found, or has other readers
 */
export async function trimModel(
  loaded: LoadedModel,
  description: Description,
  settings: TrimSettings,
  { progress, signal }: BuildContext,
): Promise<Trimmed> {
  refuseGenerator(description)
  const bytes = await tokenizerBytes(loaded, description)
  const task = progress.task('Trimming the vocabulary', undefined, 'steps')
  try {
    const { image, tokenizer } = opened(bytes)
    const vocabulary = readVocabulary(JSON.parse(new TextDecoder().decode(bytes)))
    const spell = spelling(description)
    const corpus =
      settings.corpus === undefined ? undefined : await countTokens(settings.corpus, tokenizer, { signal, spell, task })
    const required = requiredIds(vocabulary, tokenizer)
    for (const text of fixedTexts(description)) {
      for (const { id } of tokenizer.tokens(spell(text))) required.add(id)
    }
    const bounded = settings.most !== undefined
    const wanted = await wantedIds(vocabulary, { languages: settings.languages, corpus, bounded })
    const kept = keptIds(vocabulary, { required, wanted, most: settings.most })
    const classes = description.labels?.length
    const trimmed = await trimVocabulary(loaded.model, { input: TOKENS_INPUT, kept, classes, signal })
    const written = new TextEncoder().encode(JSON.stringify(trimmedFile(vocabulary, kept)))
    const path = join(TRIMMED, createHash('sha256').update(written).digest('hex'), 'tokenizer.json')
    const after = compiledTokenizer(written).length
    refuseLarge(after, kept.length, description)
    await writeWhole(path, written)
    const sizes: TrimmedSizes = {
      tokens: { before: tokensOf(vocabulary), after: kept.length },
      tables: tableBytes(trimmed),
      tokenizer: { before: image.length, after },
      tokenizerJson: { before: bytes.length, after: written.length },
    }
    task.done(`${sizes.tokens.after} of ${sizes.tokens.before} tokens stay`)
    return { loaded: withParts(loaded, trimmed, path), kept, sizes, mapped: trimmed.mapped }
  } catch (error) {
    task.done('not possible')
    throw error
  }
}

function refuseGenerator({ task }: Description): void {
  if (task !== 'text-generation') return
  throw new UsageError(
    'The vocabulary of a model that generates text cannot be trimmed, because its last layer has a score for each token. Remove --languages, --keep-corpus and --vocabulary.',
  )
}

/** @throws UsageError where what is left is still too large for the edge */
function refuseLarge(bytes: number, tokens: number, { placement, tokenizer }: Description): void {
  if (bytes <= LIMITS.tokenizerImageBytes || tokenizer === undefined || placement === 'origin') return
  throw new UsageError(
    `The trimmed tokenizer.json of ${tokens} tokens takes ${bytes} bytes when it is compiled, but the limit at the edge is ${LIMITS.tokenizerImageBytes}. Keep fewer tokens: set or lower --vocabulary.`,
  )
}

async function tokenizerBytes({ source }: LoadedModel, { tokenizer }: Description): Promise<Uint8Array> {
  const path = source.files.get(tokenizer ?? 'tokenizer.json')
  if (path === undefined) {
    throw new UsageError(
      'The model has no tokenizer.json, so its vocabulary cannot be trimmed. Put tokenizer.json beside the model, or remove --languages, --keep-corpus and --vocabulary.',
    )
  }
  return new Uint8Array(await readFile(path))
}

function opened(bytes: Uint8Array): { readonly image: Uint8Array; readonly tokenizer: TextTokenizer } {
  try {
    const image = compiledTokenizer(bytes)
    return { image, tokenizer: TextTokenizer.open(image) }
  } catch (error) {
    if (!isVergeError(error, 'manifest_invalid')) throw error
    const why = error.cause instanceof Error ? ` (${error.cause.message})` : ''
    throw new UsageError(
      `The vocabulary cannot be trimmed, because Verge does not support the model's tokenizer.json${why}.`,
      { cause: error },
    )
  }
}

function tokensOf({ added, texts }: Vocabulary): number {
  const extra = [...added.keys()].filter((id) => texts[id] === undefined).length
  return texts.reduce((count, text) => (text === undefined ? count : count + 1), extra)
}

function tableBytes({ tables }: TrimmedModel): TrimmedSizes['tables'] {
  const sum = (key: 'bytesBefore' | 'bytesAfter'): number => tables.reduce((total, table) => total + table[key], 0)
  return { before: sum('bytesBefore'), after: sum('bytesAfter') }
}

function withParts(loaded: LoadedModel, { model }: TrimmedModel, tokenizer: string): LoadedModel {
  const files = new Map([...loaded.source.files, ['tokenizer.json', tokenizer]])
  return { ...loaded, model, onnx: encodeModel(model), source: { ...loaded.source, files } }
}
