import { LIMITS } from '../../core/limits.ts'
import type { Signature } from '../../core/tensors.ts'
import type { DescribeContext, Guess, TaskFields } from './context.ts'
import { taskNote } from './context.ts'
import { pictureFields } from './image-fields.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, readSettings, type Settings, sizeOf, stringOf } from './settings.ts'
import { textFields } from './text-classifier.ts'

const TEXT_INPUTS: readonly string[] = ['input_ids', 'attention_mask', 'token_type_ids']

/** A model with an encoder of pictures and one of texts in one graph: CLIP, SigLIP. */
export async function describePicturesAndTexts(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const lacking = lackingOutputs(context.signature, 'image')
  if (lacking !== undefined) return { problem: lacking }
  const picture = pictureFields({ ...context, signature: otherSide(context.signature) })
  if ('problem' in picture) return picture
  const text = await textSide(context)
  if ('problem' in text) return text
  const activation = context.said.activation ?? (isSiglip(context.config) ? 'sigmoid' : 'softmax')
  return {
    value: {
      fields: {
        task: context.task,
        activation,
        tokenizer: text.value.tokenizer,
        preprocess: { ...picture.value.preprocess, ...text.value.preprocess },
      },
      notes: [taskNote(context), `scores by ${activation}`, ...picture.value.notes, ...text.value.notes],
    },
  }
}

/** The part of a signature that takes no texts. */
function otherSide({ inputs, outputs }: Signature): Signature {
  return { inputs: inputs.filter(({ name }) => !TEXT_INPUTS.includes(name)), outputs }
}

/** Why a model cannot compare; undefined if it can. */
export function lackingOutputs({ inputs, outputs }: Signature, kind: 'image' | 'audio'): string | undefined {
  const has = (name: string): boolean => outputs.some((output) => output.name === name)
  if (inputs.some(({ name }) => name === 'input_ids') && (has(`logits_per_${kind}`) || has('logits_per_text'))) {
    return undefined
  }
  return `it does not compare both sides: it needs input_ids and an output logits_per_${kind}. One encoder of a pair is a model of its own: --task feature-extraction for texts, image-feature-extraction for pictures`
}

type TextSide = Required<Pick<TaskFields, 'tokenizer'>> & {
  readonly preprocess: NonNullable<TaskFields['preprocess']>
  readonly notes: readonly string[]
}

/** Tokens that an encoder of texts takes where its `text_config` does not say: transformers writes what is not the default. */
const POSITIONS: ReadonlyMap<string, number> = new Map([
  ['clip', 77],
  ['siglip', 64],
])

/** How the texts of such a model become tokens. */
export async function textSide(context: DescribeContext): Promise<LabelOutcome<TextSide>> {
  const { config, files, said, signature } = context
  const inputs = signature.inputs.filter(({ name }) => TEXT_INPUTS.includes(name))
  const own = objectOf(config.text_config) ?? {}
  const positions = sizeOf(own.max_position_embeddings) ?? POSITIONS.get(stringOf(config.model_type) ?? '')
  const read = await textFields({
    ...context,
    signature: { inputs, outputs: signature.outputs },
    config: {
      ...own,
      ...(positions !== undefined && { max_position_embeddings: positions }),
      model_type: own.model_type ?? config.model_type,
    },
    said: { ...said, preprocess: undefined },
  })
  if ('problem' in read) return read
  const { tokenizer = 'tokenizer.json', notes } = read.value
  const text = said.preprocess?.text ?? read.value.preprocess?.text
  if (text === undefined) return { problem: 'no file describes how its texts become tokens' }
  const settings = (await readSettings(files, 'tokenizer_config.json')) ?? {}
  const masked = inputs.some(({ name }) => name === 'attention_mask')
  const fixed = isSiglip(config) || !masked
  const token = tokenOf(settings.pad_token)
  if (fixed && text.padding === undefined && token === undefined) {
    return { problem: 'its texts are padded, but tokenizer_config.json names no pad_token' }
  }
  const length = positions ?? text.maxTokens
  const padding = text.padding ?? (fixed && token !== undefined ? { length, token } : undefined)
  const lowercase = text.lowercase ?? ((await lowersOutside(settings, context)) ? true : undefined)
  return {
    value: {
      tokenizer,
      preprocess: { text: { ...text, ...(padding && { padding }), ...(lowercase && { lowercase }) } },
      notes: [
        ...notes,
        ...(padding ? [`texts are padded to ${padding.length} tokens with ${padding.token}`] : []),
        ...(lowercase ? ['texts are converted to lower case before tokenization, as tokenizer_config.json says'] : []),
      ],
    },
  }
}

function isSiglip(config: Settings): boolean {
  return stringOf(config.model_type)?.startsWith('siglip') ?? false
}

function tokenOf(token: unknown): string | undefined {
  return stringOf(token) ?? stringOf(objectOf(token)?.content)
}

/** Whether the slow tokenizer in Python makes texts lower case, and tokenizer.json does not. */
async function lowersOutside(settings: Settings, { files }: DescribeContext): Promise<boolean> {
  if (settings.do_lower_case !== true) return false
  const tokenizer = await readSettings(files, 'tokenizer.json', LIMITS.originTokenizerBytes)
  return !JSON.stringify(tokenizer?.normalizer ?? null).match(/"type":"Lowercase"|"lowercase":true/)
}
