import type { TaskName } from '../../catalog/manifest.ts'
import type { EmbeddingSettings, Pooling } from '../../catalog/settings/embedding.ts'
import type { Signature } from '../../core/tensors.ts'
import type { Guess, Said } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, readSettings, readText, type Settings, sizeOf, stringOf } from './settings.ts'
import { textPreprocess, textSettings } from './text.ts'
import { COSINE_NOTE, sentenceFindings } from './text-keys.ts'
import { findVectorKinds } from './vector-kinds.ts'

type Files = ReadonlyMap<string, string>

/** How a note on the length of texts begins. */
const CUT_NOTE = 'texts are truncated to'

const EMBEDDING: readonly (TaskName | undefined)[] = ['feature-extraction', 'sentence-similarity']

/**
 * Models that make vectors of texts, or put texts in order, by what sentence-transformers and model2vec write beside
 * them. Undefined for a model of another kind.
 */
export async function embeddingGuess(
  files: Files,
  config: Settings,
  signature: Signature,
  said: Said,
): Promise<LabelOutcome<Guess> | undefined> {
  const modules = await modulesOf(files)
  const kinds = await findVectorKinds(files, config, signature, modules)
  if (kinds !== undefined && 'problem' in kinds)
    return said.task === undefined || EMBEDDING.includes(said.task) ? kinds : undefined
  const found = kinds && ({ task: 'feature-extraction', why: kinds.value.why } as const)
  const known =
    said.task === undefined
      ? (found ?? (await taskOf(files, config, modules)))
      : { task: said.task, why: 'as requested' }
  if (known === undefined || !(EMBEDDING.includes(known.task) || known.task === 'text-ranking')) return undefined

  const text = await textSettings(files, config, signature, { trims: said.trims ?? false })
  if ('problem' in text) return text
  const sentence = await readSettings(files, 'sentence_bert_config.json')
  const findings = await sentenceFindings(files)
  if ('problem' in findings) return findings
  const least = sizeOf(sentence?.max_seq_length)
  const { value: special } = kinds ?? {}
  const most = Math.min(least ?? Number.POSITIVE_INFINITY, special?.maxTokens ?? Number.POSITIVE_INFINITY)
  const maxTokens = Math.min(text.value.maxTokens, most)
  const notes = [`task ${known.task}, ${known.why}`]
  if (maxTokens < text.value.maxTokens) notes.push(`texts are truncated to ${maxTokens} tokens, as in training`)
  notes.push(...text.value.notes.filter((note) => maxTokens === text.value.maxTokens || !note.startsWith(CUT_NOTE)))
  // What is said of comparing one vector a text is none of theirs.
  notes.push(...findings.value.filter((note) => special === undefined || !note.startsWith(COSINE_NOTE)))
  const tokenizer = said.tokenizer ?? text.value.tokenizer
  if (known.task === 'text-ranking') {
    const preprocess = said.preprocess ?? { text: textPreprocess({ ...text.value, maxTokens }) }
    return { value: { fields: { task: known.task, tokenizer, preprocess }, notes } }
  }
  const lowercase = sentence?.do_lower_case === true
  if (lowercase) notes.push('texts are converted to lower case before tokenization, as sentence_bert_config.json says')
  const embedding = kinds ?? (await embeddingOf(files, config, signature, modules))
  if ('problem' in embedding) return embedding
  notes.push(...embedding.value.notes)
  const preprocess = said.preprocess ?? {
    text: textPreprocess({ ...text.value, maxTokens }),
    embedding: { ...embedding.value.settings, ...(lowercase && { lowercase }) },
  }
  return { value: { fields: { task: known.task, tokenizer, preprocess }, notes } }
}

/** The last words of `modules.json`'s types, in order: `Transformer`, `Pooling`, `Normalize`. */
async function modulesOf(files: Files): Promise<readonly string[] | undefined> {
  const text = await readText(files, 'modules.json')
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  return value.map((module: unknown) => stringOf(objectOf(module)?.type)?.split('.').at(-1) ?? '')
}

async function taskOf(
  files: Files,
  config: Settings,
  modules: readonly string[] | undefined,
): Promise<{ task: TaskName; why: string } | undefined> {
  if (modules?.some((module) => module === 'Transformer' || module === 'StaticEmbedding')) {
    return { task: 'feature-extraction', why: "by sentence-transformers' modules.json" }
  }
  if (config.model_type === 'model2vec') return { task: 'feature-extraction', why: 'by its model type model2vec' }
  const oneLabel = Object.keys(objectOf(config.id2label) ?? { 0: '' }).length === 1
  const [architecture] = Array.isArray(config.architectures) ? (config.architectures as unknown[]) : []
  if (!oneLabel || !stringOf(architecture)?.endsWith('ForSequenceClassification')) return undefined
  const card = (await readText(files, 'README.md')) ?? ''
  return objectOf(config.sentence_transformers) !== undefined || /^pipeline_tag:\s*text-ranking\s*$/m.test(card)
    ? { task: 'text-ranking', why: 'as a cross-encoder of sentence-transformers with one score' }
    : undefined
}

interface Embedding {
  readonly settings: EmbeddingSettings
  readonly notes: readonly string[]
}

async function embeddingOf(
  files: Files,
  config: Settings,
  signature: Signature,
  modules: readonly string[] | undefined,
): Promise<LabelOutcome<Embedding>> {
  const isStatic = config.model_type === 'model2vec' || (modules?.includes('StaticEmbedding') ?? false)
  // An export of the whole pipeline contains the modules in its graph.
  const perText = signature.outputs.filter(({ shape }) => shape.length === 2)
  const has = (output: string): boolean => perText.some(({ name }) => name === output)
  // CLIP's and SigLIP's encoder of texts, which answers its tokens' vectors too.
  const projected = has('text_embeds') && !has('sentence_embedding')
  const whole = projected || has('sentence_embedding') || (isStatic && perText.length > 0)
  const unknown = modules?.find((module) => !KNOWN_MODULES.includes(module))
  if (!whole && unknown !== undefined) {
    return {
      problem: `its module ${unknown} is not in the graph; export the whole model, with an output sentence_embedding`,
    }
  }
  const pooling: LabelOutcome<Pooling> | undefined = whole ? { value: 'mean' } : await poolingOf(files)
  if (pooling !== undefined && 'problem' in pooling) return pooling
  const normalize = modules?.includes('Normalize') ?? (isStatic ? config.normalize === true : true)
  const prompts = await promptsOf(files)
  const withoutPrompt = (await readSettings(files, '1_Pooling/config.json'))?.include_prompt === false
  if (withoutPrompt && whole && prompts.prompts !== undefined) {
    return {
      problem:
        'its pooling excludes prompt tokens, which a graph with pooling cannot do; export the model without pooling, with token vectors as its output',
    }
  }
  // sentence-transformers' StaticEmbedding counts unknown tokens like any other.
  const dropUnknown = config.model_type === 'model2vec'
  const settings: EmbeddingSettings = {
    pooling: pooling?.value ?? 'mean',
    normalize,
    ...(projected && { output: 'text_embeds' }),
    ...prompts,
    ...(withoutPrompt && !whole && { includePrompt: false }),
    ...(dropUnknown && { dropUnknown }),
  }
  const how = whole ? 'vectors are pooled in the graph' : `vectors are pooled by ${settings.pooling}`
  const why = !whole && pooling === undefined ? ', because no file sets the pooling' : ''
  const names = Object.keys(prompts.prompts ?? {})
  return {
    value: {
      settings,
      notes: [
        `${how}${normalize ? ' and normalized to length 1' : ''}${why}`,
        ...(names.length === 0 ? [] : [`prompts: ${names.join(', ')}`]),
        ...(settings.includePrompt === false ? ['prompt tokens are excluded from the pooling'] : []),
        ...(dropUnknown ? ['unknown tokens are left out, as in model2vec'] : []),
      ],
    },
  }
}

const KNOWN_MODULES: readonly string[] = ['Transformer', 'StaticEmbedding', 'Pooling', 'Normalize']

/** Flags of sentence-transformers' pooling, and their names in the newer `pooling_mode`. */
const POOLING_FLAGS: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_cls_token: 'cls',
  pooling_mode_lasttoken: 'last',
  pooling_mode_max_tokens: 'max',
}
const POOLING_NAMES: Readonly<Record<string, Pooling>> = { mean: 'mean', cls: 'cls', lasttoken: 'last', max: 'max' }

async function poolingOf(files: Files): Promise<LabelOutcome<Pooling> | undefined> {
  const settings = await readSettings(files, '1_Pooling/config.json')
  if (settings === undefined) return undefined
  const named = [settings.pooling_mode].flat().filter((mode) => mode !== undefined)
  const flags = Object.keys(settings).filter((key) => key.startsWith('pooling_mode_') && settings[key] === true)
  const modes = named.length > 0 ? named.map(String) : flags
  const [mode = '', ...others] = modes
  const known = POOLING_NAMES[mode] ?? POOLING_FLAGS[mode]
  if (known !== undefined && others.length === 0) return { value: known }
  return {
    problem: `its pooling (${modes.join(', ').slice(0, 200) || 'none'}) is not one of mean, cls, last and max; export the whole model, with an output sentence_embedding`,
  }
}

async function promptsOf(files: Files): Promise<Pick<EmbeddingSettings, 'prompts' | 'defaultPrompt'>> {
  const settings = await readSettings(files, 'config_sentence_transformers.json')
  const texts = Object.entries(objectOf(settings?.prompts) ?? {}).filter(([, prompt]) => typeof prompt === 'string')
  if (texts.length === 0) return {}
  const prompts = Object.fromEntries(texts) as Record<string, string>
  const name = stringOf(settings?.default_prompt_name)
  return { prompts, ...(name !== undefined && Object.hasOwn(prompts, name) && { defaultPrompt: name }) }
}
