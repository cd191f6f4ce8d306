import { readFile } from 'node:fs/promises'
import { CHAT_TEMPLATE_FILE, type GenerationSettings } from '../../catalog/settings/generation.ts'
import { isVergeError } from '../../core/errors.ts'
import type { Signature } from '../../core/tensors.ts'
import { causalLayout } from '../../engine/causal.ts'
import { TextTokenizer } from '../../media/text/tokenizer.ts'
import type { Guess, Said } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, readSettings, readText, type Settings, sizeOf, stringOf } from './settings.ts'
import { unfitTokenizer } from './text.ts'
import { generationFindings, tokenizerFindings } from './text-keys.ts'

type Files = ReadonlyMap<string, string>

/** Architectures that continue texts, by the ends of their names. */
const CAUSAL = /ForCausalLM$|LMHeadModel$/

/** Default context length, in tokens. */
const CONTEXT_LENGTH = 2_048

/**
 * Recognises a causal language model by the architecture names of transformers, or by the given task. Undefined for
 * other models.
 */
export async function guessGeneration(
  files: Files,
  config: Settings,
  signature: Signature,
  said: Said,
): Promise<LabelOutcome<Guess> | undefined> {
  const architecture = stringOf(
    Array.isArray(config.architectures) ? (config.architectures as unknown[])[0] : undefined,
  )
  const byName = architecture !== undefined && CAUSAL.test(architecture)
  if (said.task !== 'text-generation' && !(said.task === undefined && byName)) return undefined
  const problem = unfitSignature(signature) ?? (await unfitTokenizer(files, { writes: true }))
  if (problem !== undefined) return { problem }
  const written = (await readSettings(files, 'tokenizer_config.json')) ?? {}
  const notes = [
    `task text-generation, ${said.task === undefined ? `by its architecture ${architecture}` : 'as requested'}`,
  ]
  for (const findings of [await tokenizerFindings(files), await generationFindings(files)]) {
    if ('problem' in findings) return findings
    notes.push(...findings.value)
  }
  const generation = said.preprocess?.generation ?? (await settingsOf(files, config, written, notes))
  const hasTemplate = (await chatTemplateOf(files)) !== undefined
  notes.push(
    hasTemplate ? 'answers chat messages with its chat template' : 'continues texts, because there is no chat template',
  )
  return {
    value: {
      fields: {
        task: 'text-generation',
        tokenizer: said.tokenizer ?? 'tokenizer.json',
        ...(hasTemplate && { chatTemplate: CHAT_TEMPLATE_FILE }),
        preprocess: { generation },
      },
      notes,
    },
  }
}

/** The template beside a model: a separate file, or a field of the tokenizer's settings. */
export async function chatTemplateOf(files: Files): Promise<string | undefined> {
  const own = await readText(files, CHAT_TEMPLATE_FILE)
  if (own !== undefined) return own
  const { chat_template: template } = (await readSettings(files, 'tokenizer_config.json')) ?? {}
  // Some models have several templates; the default one has the name "default".
  const several = Array.isArray(template) ? template.map(objectOf) : []
  return stringOf(template) ?? stringOf(several.find((each) => each?.name === 'default')?.template)
}

function unfitSignature(signature: Signature): string | undefined {
  try {
    causalLayout(signature)
    return undefined
  } catch (error) {
    if (!isVergeError(error)) throw error
    return `it is not a causal language model in the form that transformers exports (${error.message})`
  }
}

async function settingsOf(
  files: Files,
  config: Settings,
  written: Settings,
  notes: string[],
): Promise<GenerationSettings> {
  const positions = sizeOf(config.max_position_embeddings) ?? sizeOf(config.n_positions) ?? sizeOf(config.n_ctx)
  const contextLength = Math.min(positions ?? sizeOf(written.model_max_length) ?? CONTEXT_LENGTH, 1_048_576)
  notes.push(
    positions === undefined && sizeOf(written.model_max_length) === undefined
      ? `prompt and answer are limited to ${contextLength} tokens together, because no file sets the context length`
      : `prompt and answer are limited to ${contextLength} tokens together`,
  )
  const path = files.get('tokenizer.json')
  const tokenizer = path === undefined ? undefined : TextTokenizer.parse(new Uint8Array(await readFile(path)))
  const idOf = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : [...(tokenizer?.addedTexts ?? [])].find(([, content]) => content === text)?.[0]
  const [bosToken, eosToken] = [tokenText(written.bos_token), tokenText(written.eos_token)]
  const generation = (await readSettings(files, 'generation_config.json')) ?? {}
  // Chat models name the end of a turn in the tokenizer's settings, and the end of all text in the model's.
  const stopTokens = [generation.eos_token_id ?? config.eos_token_id, idOf(eosToken)]
    .flat()
    .filter((id): id is number => Number.isSafeInteger(id) && Number(id) >= 0)
  if (stopTokens.length === 0) notes.push('no token ends an answer, so every answer has the maximum length')
  return {
    contextLength,
    stopTokens: [...new Set(stopTokens)].slice(0, 64),
    ...(bosToken !== undefined && { bosToken }),
    ...(eosToken !== undefined && { eosToken }),
  }
}

/** A token as tokenizer_config.json writes it: a text, or an object with one. */
function tokenText(value: unknown): string | undefined {
  return stringOf(value) ?? stringOf(objectOf(value)?.content)
}
