import type { EmbeddingSettings, SparseSettings } from '../../catalog/settings/embedding.ts'
import type { Signature, TensorSpec } from '../../core/tensors.ts'
import { architectureOf } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, readSettings, readText, type Settings, sizeOf, stringOf } from './settings.ts'

type Files = ReadonlyMap<string, string>

/** A model that makes sparse vectors or vectors of tokens, alone or beside one vector a text. */
export interface VectorKindsFound {
  /** How this is known, for the note on the task. */
  readonly why: string
  readonly settings: EmbeddingSettings
  readonly notes: readonly string[]
  /** Most tokens of a text, where the files say it of these vectors. */
  readonly maxTokens?: number
}

/**
 * Describes models of bge-m3's, SPLADE's and ColBERT's kind; undefined for others.
 * @param modules last words of `modules.json`'s types
 */
export async function findVectorKinds(
  files: Files,
  config: Settings,
  signature: Signature,
  modules: readonly string[] | undefined,
): Promise<LabelOutcome<VectorKindsFound> | undefined> {
  const floats = signature.outputs.filter(({ datatype }) => datatype?.startsWith('FP') ?? false)
  const multi = multiVector(floats)
  if (multi !== undefined) return { value: multi }
  const isSplade = modules?.includes('SpladePooling') ?? (await saysSplade(files, config))
  if (isSplade) return splade(files, floats)
  const sentence = (await readSettings(files, 'config_sentence_transformers.json')) ?? {}
  const isPyLate = ['query_prefix', 'document_prefix'].some((key) => typeof sentence[key] === 'string')
  if (!isPyLate && !/ColBERT$/i.test(architectureOf(config) ?? '')) return undefined
  return colbert(files, floats, sentence)
}

/**
 * Names of the three outputs in the exports of bge-m3 that are on the hub: aapot/bge-m3-onnx,
 * yuniko-software/bge-m3-onnx, newtechstudio/bge-m3-3head.
 */
const MULTI_VECTOR_NAMES = [
  ['dense_vecs', 'sparse_vecs', 'colbert_vecs'],
  ['dense_embeddings', 'sparse_weights', 'colbert_vectors'],
  ['dense', 'sparse', 'colbert'],
] as const

function multiVector(floats: readonly TensorSpec[]): VectorKindsFound | undefined {
  const byName = new Map(floats.map((spec) => [spec.name, spec]))
  for (const names of MULTI_VECTOR_NAMES) {
    const [dense, sparse, tokens] = names.map((name) => byName.get(name))
    if (dense === undefined || (sparse === undefined && tokens === undefined)) continue
    const has = [dense, sparse, tokens].flatMap((spec) => spec?.name ?? [])
    return {
      why: `by its outputs ${has.join(', ')}, as bge-m3 has them`,
      settings: {
        pooling: 'cls',
        normalize: true,
        output: dense.name,
        ...(sparse && { sparse: { output: sparse.name, form: 'weights' } }),
        ...(tokens && { tokens: { output: tokens.name, normalize: true, skipFirst: true } }),
      },
      notes: [
        `one run makes dense vectors (${dense.name})${sparse ? `, weights of tokens (${sparse.name})` : ''}${tokens ? `, a vector per token (${tokens.name})` : ''}: requests name them in "kinds"`,
      ],
    }
  }
  return undefined
}

async function saysSplade(files: Files, config: Settings): Promise<boolean> {
  if (!architectureOf(config)?.endsWith('ForMaskedLM')) return false
  const card = (await readText(files, 'README.md')) ?? ''
  const [, header = ''] = /^---\n([\s\S]{0,20000}?)\n---/.exec(card) ?? []
  return /^\s*- (splade|sparse-encoder)\s*$/m.test(header)
}

async function splade(files: Files, floats: readonly TensorSpec[]): Promise<LabelOutcome<VectorKindsFound>> {
  const perToken = floats.find(({ shape }) => shape.length === 3)
  const finished = floats.find(({ shape }) => shape.length === 2)
  const output = finished ?? perToken
  if (output === undefined) return { problem: 'it has no output with scores for its vocabulary' }
  const settings = (await readSettings(files, '1_SpladePooling/config.json')) ?? {}
  const { activation_function: activation = 'relu', pooling_strategy: pooling = 'max' } = settings
  if ((activation !== 'relu' && activation !== 'log1p_relu') || (pooling !== 'max' && pooling !== 'sum')) {
    return {
      problem: `its SpladePooling (${JSON.stringify([activation, pooling]).slice(0, 100)}) is not one of relu and log1p_relu with max or sum`,
    }
  }
  const sparse: SparseSettings =
    finished === undefined
      ? {
          output: output.name,
          form: 'logits',
          ...(pooling === 'sum' && { pooling }),
          ...(activation === 'log1p_relu' && { activation }),
        }
      : { output: output.name, form: 'vector' }
  return {
    value: {
      why: 'as a sparse encoder of the kind of SPLADE',
      settings: { pooling: 'none', normalize: false, sparse },
      notes: [
        finished === undefined
          ? `sparse vectors are the ${pooling === 'sum' ? 'sums' : 'greatest'} of log(1 + relu(${output.name})) over a text's tokens`
          : `sparse vectors are pooled in the graph (${output.name})`,
      ],
    },
  }
}

/** ColBERT's own markers, lengths and punctuation, where no file says others. */
const QUERY_TOKENS = 32
const QUERY_MARKER = '[unused0]'
const DOCUMENT_MARKER = '[unused1]'
const PUNCTUATION = [...'!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~']
const MOST_SKIPPED = 1_000

async function colbert(
  files: Files,
  floats: readonly TensorSpec[],
  sentence: Settings,
): Promise<LabelOutcome<VectorKindsFound>> {
  const output = floats.find(({ shape }) => shape.length === 3)
  if (output === undefined) return { problem: 'it has no output with a vector for each token' }
  const vocabulary = await vocabularyOf(files)
  const query = stringOf(sentence.query_prefix) ?? QUERY_MARKER
  const document = stringOf(sentence.document_prefix) ?? DOCUMENT_MARKER
  const unread = [query, document].find((marker) => !vocabulary.added.has(marker))
  if (unread !== undefined) {
    return {
      problem: `its tokenizer.json does not read its marker "${unread.slice(0, 40)}" as one token; save the tokenizer with the marker among its added tokens`,
    }
  }
  const fill = vocabulary.added.get('[MASK]') ?? vocabulary.added.get('<mask>')
  const expands = sentence.do_query_expansion !== false && fill !== undefined
  const words = Array.isArray(sentence.skiplist_words) ? (sentence.skiplist_words as unknown[]) : PUNCTUATION
  const skip = words.flatMap((word) => (typeof word === 'string' ? (vocabulary.words.get(word) ?? []) : []))
  const queryTokens = sizeOf(sentence.query_length) ?? QUERY_TOKENS
  const maxTokens = sizeOf(sentence.document_length)
  return {
    value: {
      why: 'as a model of the kind of ColBERT',
      settings: {
        pooling: 'none',
        normalize: true,
        prompts: { query, document },
        defaultPrompt: 'document',
        tokens: {
          output: output.name,
          normalize: true,
          ...(skip.length > 0 && { skip: [...new Set(skip)].slice(0, MOST_SKIPPED) }),
          ...(expands && {
            query: {
              prompt: 'query',
              tokens: queryTokens,
              fill,
              ...(sentence.attend_to_expansion_tokens === true && { attended: true }),
            },
          }),
        },
      },
      notes: [
        `a normalized vector per token (${output.name}); ${skip.length} tokens of punctuation have none in documents`,
        expands
          ? `texts with the prompt "query" have ${queryTokens} tokens: longer ones are cut, shorter ones filled up`
          : 'queries are not filled up to a fixed length',
      ],
      ...(maxTokens !== undefined && { maxTokens }),
    },
  }
}

interface Vocabulary {
  /** Added tokens, which are read as one wherever they stand. */
  readonly added: ReadonlyMap<string, number>
  /** All that a whole word can be. */
  readonly words: ReadonlyMap<string, number>
}

/** The tokens of `tokenizer.json` by how they are written. */
async function vocabularyOf(files: Files): Promise<Vocabulary> {
  const file = (await readSettings(files, 'tokenizer.json', MOST_TOKENIZER_BYTES)) ?? {}
  const added = new Map<string, number>()
  for (const token of Array.isArray(file.added_tokens) ? (file.added_tokens as unknown[]) : []) {
    const { content, id } = objectOf(token) ?? {}
    if (typeof content === 'string' && typeof id === 'number') added.set(content, id)
  }
  const words = new Map(added)
  const vocab = objectOf(file.model)?.vocab
  for (const [word, id] of Object.entries(objectOf(vocab) ?? {})) if (typeof id === 'number') words.set(word, id)
  for (const [id, entry] of (Array.isArray(vocab) ? (vocab as unknown[]) : []).entries()) {
    const [word] = Array.isArray(entry) ? (entry as unknown[]) : []
    if (typeof word === 'string') words.set(word, id)
  }
  return { added, words }
}

/** Tokenizers of large vocabularies have 10 to 35 MB. */
const MOST_TOKENIZER_BYTES = 64 * 1024 * 1024
