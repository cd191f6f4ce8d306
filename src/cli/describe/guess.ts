import type { TaskName } from '../../catalog/manifest.ts'
import type { Signature } from '../../core/tensors.ts'
import type { Description } from '../pack/description.ts'
import { guessAudio } from './audio.ts'
import { guessBytes } from './bytes.ts'
import { embeddingGuess } from './embedding.ts'
import { guessGeneration } from './generation.ts'
import { type ImageOutcome, imageOutcome, imageSettings } from './image.ts'
import { type ImageInput, imageInput } from './image-input.ts'
import { activationFor, type LabelOutcome, labelsFor } from './labels.ts'
import { readSettings, type Settings, stringOf } from './settings.ts'
import { guessTabular } from './tabular.ts'
import { textPreprocess, textSettings } from './text.ts'
import { timmProcessor, timmSettings } from './timm.ts'
import { type ImageWishes, presetSettings, saysAnything, wishedInput, wishedSettings } from './wishes.ts'

/** The part of a description that a task needs. */
export type TaskFields = Pick<
  Description,
  'task' | 'labels' | 'activation' | 'preprocess' | 'tokenizer' | 'chatTemplate'
>

export interface Guess {
  readonly fields: Partial<TaskFields>
  readonly notes: readonly string[]
}

/** What a person asks for. */
export type Said = { readonly [K in keyof TaskFields]?: TaskFields[K] | undefined } & {
  /** The vocabulary is trimmed after this. */
  readonly trims?: boolean | undefined
}

/** Heads of transformers' models that are classifiers, by the end of the architecture's name. */
const HEADS: readonly (readonly [RegExp, TaskName])[] = [
  [/ForSequenceClassification$/, 'text-classification'],
  [/ForTokenClassification$/, 'token-classification'],
  [/ForQuestionAnswering$/, 'question-answering'],
  [/ForImageClassification(WithTeacher)?$/, 'image-classification'],
]

const OF_TEXTS: readonly TaskName[] = [
  'text-classification',
  'token-classification',
  'question-answering',
  'zero-shot-classification',
]

/** Tasks whose answers have no classes. */
const UNLABELLED: readonly TaskName[] = ['question-answering', 'image-feature-extraction']

/** Tasks whose outputs are described only by a verge.json. */
const POSTPROCESSED: Readonly<Partial<Record<TaskName, string>>> = {
  'object-detection': 'no setting describes how its outputs become boxes (postprocess.detection)',
  'image-to-image': 'no setting describes how its output becomes an image (postprocess.imageOutput)',
}

/**
 * Guesses the task of a model from the files beside it; `said` has the person's options. A problem is the reason why
 * the model is served as raw tensors.
 * @param wishes the person's options for image preprocessing
 * @throws UsageError if they contradict the model
 */
export async function guessTask(
  files: ReadonlyMap<string, string>,
  signature: Signature,
  said: Said,
  wishes: ImageWishes = {},
): Promise<LabelOutcome<Guess>> {
  const config = (await readSettings(files, 'config.json')) ?? {}
  const pictures = saysAnything(wishes)
  const other = pictures ? undefined : await ofOtherInputs(files, config, signature, said)
  if (other !== undefined) return other
  const processor = await readSettings(files, 'preprocessor_config.json')
  const timm = timmSettings(config, processor)
  const known =
    said.task === undefined ? taskOf(config, timm !== undefined, pictures) : { task: said.task, why: 'as requested' }
  if (known === undefined) return { problem: whyNone(config, files) }

  const lacking = POSTPROCESSED[known.task]
  if (lacking !== undefined) return { problem: lacking }
  const own = await preprocessing(known.task, files, signature, { config, processor, timm, said, wishes })
  if ('problem' in own) return own
  if (UNLABELLED.includes(known.task)) {
    const { notes, ...fields } = own.value
    return { value: { fields: { task: known.task, ...fields }, notes: [`task ${known.task}, ${known.why}`, ...notes] } }
  }
  const labels = labelsFor(said.labels, { ...timm, ...config }, signature)
  if ('problem' in labels) return labels
  const activation = said.activation ?? activationFor(config, labels.value.labels.length, signature)
  const { notes, ...fields } = own.value
  return {
    value: {
      fields: { task: known.task, labels: labels.value.labels, activation, ...fields },
      notes: [`task ${known.task}, ${known.why}`, `scores by ${activation}`, ...labels.value.notes, ...notes],
    },
  }
}

interface Context {
  readonly config: Settings
  readonly processor: Settings | undefined
  readonly timm: Settings | undefined
  readonly said: Said
  readonly wishes: ImageWishes
}

/** Tasks that take something other than pictures; undefined where the model is of none of them. */
async function ofOtherInputs(
  files: ReadonlyMap<string, string>,
  config: Settings,
  signature: Signature,
  said: Said,
): Promise<LabelOutcome<Guess> | undefined> {
  return (
    guessTabular(config, signature, said) ??
    (await guessBytes(files, said)) ??
    (await guessAudio(files, config, signature, said)) ??
    (await guessGeneration(files, config, signature, said)) ??
    (await embeddingGuess(files, config, signature, said))
  )
}

type Own = Pick<TaskFields, 'preprocess' | 'tokenizer'> & { readonly notes: readonly string[] }

async function preprocessing(
  task: TaskName,
  files: ReadonlyMap<string, string>,
  signature: Signature,
  { config, processor, timm, said, wishes }: Context,
): Promise<LabelOutcome<Own>> {
  if (OF_TEXTS.includes(task)) {
    const use = { writes: task === 'token-classification', trims: said.trims ?? false }
    const text = await textSettings(files, config, signature, use)
    if ('problem' in text) return text
    const { tokenizer, notes } = text.value
    const preprocess = said.preprocess ?? { text: textPreprocess(text.value) }
    return { value: { tokenizer: said.tokenizer ?? tokenizer, preprocess, notes } }
  }
  if (said.preprocess?.image) return { value: { preprocess: said.preprocess, notes: [] } }
  const found = imageInput(signature)
  if ('problem' in found) return found
  const input = wishedInput(found.value, wishes)
  if (wishes.preset !== undefined || (saysAnything(wishes) && timm === undefined && processor === undefined)) {
    const preset = wishes.preset ?? 'unit'
    const notes = [
      wishes.preset === undefined
        ? 'images are stretched and scaled to 0 to 1 (preset unit), because no file describes the preprocessing'
        : `image preprocessing of preset ${preset}${processor === undefined && timm === undefined ? '' : ', instead of the files beside the model'}`,
    ]
    return { value: { preprocess: { image: presetSettings(preset, input, wishes) }, notes } }
  }
  const read = timm === undefined ? byProcessor(processor, input) : byTimm(timm, input)
  const image = 'problem' in read ? read : { value: { ...read.value, image: wishedSettings(read.value.image, wishes) } }
  if ('problem' in image) return image
  return { value: { preprocess: { image: image.value.image }, notes: image.value.notes } }
}

function byProcessor(processor: Settings | undefined, input: ImageInput): LabelOutcome<ImageOutcome> {
  if (processor !== undefined) return imageSettings(processor, input)
  return { problem: 'the folder has no preprocessor_config.json, which describes the image preprocessing' }
}

function byTimm(timm: Settings, input: ImageInput): LabelOutcome<ImageOutcome> {
  const read = timmProcessor(timm)
  return 'problem' in read ? read : imageOutcome(read.value.processor, input, read.value.notes)
}

function taskOf(config: Settings, isTimm: boolean, pictures: boolean): { task: TaskName; why: string } | undefined {
  const architecture = architectureOf(config)
  const head = HEADS.find(([pattern]) => architecture !== undefined && pattern.test(architecture))
  if (head !== undefined) return { task: head[1], why: `by its architecture ${architecture}` }
  if (isTimm) return { task: 'image-classification', why: "by timm's settings" }
  return pictures ? { task: 'image-classification', why: 'by the given image preprocessing' } : undefined
}

function architectureOf(config: Settings): string | undefined {
  const { architectures } = config
  const [first] = Array.isArray(architectures) ? (architectures as unknown[]) : []
  const name = stringOf(first)
  return name !== undefined && /^\w{1,100}$/.test(name) ? name : undefined
}

function whyNone(config: Settings, files: ReadonlyMap<string, string>): string {
  if (!files.has('config.json')) return 'the folder has no config.json, which names its task'
  const architecture = architectureOf(config)
  return architecture === undefined
    ? 'its config.json does not name a task'
    : `its architecture ${architecture} belongs to no task that Verge knows`
}
