import { basename } from 'node:path'
import { imageSettingsSchema, type TaskName } from '../../catalog/manifest.ts'
import type { Signature } from '../../core/tensors.ts'
import { type Description, descriptionSchema } from '../pack/description.ts'
import type { ModelSource } from '../source/source.ts'
import { UsageError } from '../terminal/command-line.ts'
import { withClasses } from './classes.ts'
import type { TaskFields } from './context.ts'
import { DraftError, draftOf } from './draft.ts'
import { familyNamed } from './families/index.ts'
import { guessTask } from './guess.ts'
import { imageInput } from './image-input.ts'
import { findLicence } from './licence.ts'
import { defaultName } from './name.ts'
import { objectOf, readSettings, type Settings, stringOf } from './settings.ts'
import { type ImageWishes, PRESETS, presetSettings, saysAnything, wishedInput, wishedSettings } from './wishes.ts'

export { nextVersion } from './name.ts'

/** Fields that a person has said otherwise. `task: 'none'` asks for raw tensors. */
export type Overrides = { readonly [K in keyof Omit<Description, 'task'>]?: Description[K] | undefined } & {
  readonly task?: TaskName | 'none' | undefined
  /** How pictures become tensors, where the files beside the model do not say it, or otherwise. */
  readonly image?: ImageWishes | undefined
  /** The name of a well-known family of models, whose settings apply. */
  readonly family?: string | undefined
}

export interface DescribeOptions {
  /** Default: the name in a `verge.json` beside the model, else `defaultName`. */
  readonly name?: string | undefined
  readonly source: ModelSource
  /** Of the model: inputs and outputs, as an engine reads them. */
  readonly signature: Signature
  /** What the model's file says of itself (`metadata_props`), by key. */
  readonly metadata?: ReadonlyMap<string, string>
  readonly overrides?: Overrides
  /** The vocabulary is trimmed after this: its tokenizer may be too large until then. */
  readonly trims?: boolean
}

export interface Described {
  readonly description: Description
  /** The choices with their reasons, and points that a person should check. */
  readonly notes: readonly string[]
}

/**
 * Describes a model in the form of `verge.json`: from the `verge.json` beside it, which must then be complete, or from
 * the files that transformers and timm write. If the task is uncertain, the model is served as raw tensors, and a note
 * has the reason.
 * @throws UsageError if the options do not match the model, or a file beside it cannot be read
 */
export async function describeModel({
  name,
  source,
  signature,
  metadata,
  overrides = {},
  trims = false,
}: DescribeOptions): Promise<Described> {
  const notes: string[] = []
  const written = await readSettings(source.files, 'verge.json')
  if (written !== undefined && overrides.family !== undefined) {
    throw new UsageError(
      `--preset ${overrides.family} describes the whole model, but a verge.json beside it does so, too. Remove one of them.`,
    )
  }
  const task =
    written === undefined
      ? await taskFields({ source, signature, metadata, trims }, { ...overrides, name: name ?? overrides.name }, notes)
      : { ...withoutNone(overrides), ...wishedOf(written, signature, overrides.image) }
  if (written !== undefined) notes.push('described by its verge.json')
  const licence = overrides.licence ?? written?.licence ?? (await licenceOf(source, notes))
  const artifacts = [{ file: basename(source.modelFile), dtype: 'fp32' }]
  const { task: _, image: __, family: ___, ...said } = defined(overrides)
  const fields = {
    version: '1',
    artifacts,
    ...(source.origin !== undefined && { source: source.origin }),
    ...written,
    ...said,
    ...defined(task),
    name: name ?? overrides.name ?? written?.name ?? defaultName(source),
    licence,
  }
  if (overrides.task === 'none') dropTask(fields)
  const result = descriptionSchema.safeParse(fields)
  if (result.success) return { description: result.data, notes }
  const problems = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(all)'}: ${issue.message}`)
  throw new UsageError(`The model cannot be described:\n${problems.join('\n')}`)
}

interface Metadata {
  readonly metadata: ReadonlyMap<string, string> | undefined
}

async function taskFields(
  { signature, source, metadata, trims }: Pick<DescribeOptions, 'source' | 'signature' | 'trims'> & Metadata,
  overrides: Overrides,
  notes: string[],
): Promise<Partial<TaskFields>> {
  if (overrides.task === 'none') {
    notes.push('raw tensors, as requested')
    return {}
  }
  const family = overrides.family === undefined ? undefined : familyNamed(overrides.family)
  const guess = await guessTask(source.files, signature, { ...withoutNone(overrides), trims }, overrides.image, {
    family,
    metadata,
  })
  if ('value' in guess) {
    const { fields, notes: why } = await withClasses(guess.value, source.modelFile)
    notes.push(...why)
    return fields
  }
  const wanted = overrides.task ?? family?.task
  if (wanted !== undefined || saysAnything(overrides.image)) {
    const asked = wanted ?? 'image-classification'
    const message = `The model cannot be served as ${asked}: ${guess.problem}.`
    const draft = draftOf(asked, { source, signature, name: overrides.name })
    throw draft === undefined ? new UsageError(message) : new DraftError(message, draft)
  }
  notes.push(`raw tensors: ${guess.problem}`)
  if (looksLikeClassifier(signature)) {
    notes.push(`if it classifies images: --preset ${PRESETS.join(' | ')}, with --labels FILE`)
  }
  return {}
}

/** Whether a model takes a picture and gives scores of classes, by its shapes. */
function looksLikeClassifier(signature: Signature): boolean {
  const shape = signature.outputs[0]?.shape ?? []
  const [channels, last] = [signature.inputs[0]?.shape[1], signature.inputs[0]?.shape[3]]
  const coloured = [channels, last].some((size) => size === 1 || size === 3)
  return coloured && signature.outputs.length === 1 && shape.length === 2 && 'value' in imageInput(signature)
}

/** Image options that override the verge.json beside the model. */
function wishedOf(written: Settings, signature: Signature, wishes: ImageWishes | undefined): Partial<TaskFields> {
  if (!saysAnything(wishes)) return {}
  const input = imageInput(signature)
  if ('problem' in input) throw new UsageError(`The model does not take images: ${input.problem}.`)
  const wished = wishedInput(input.value, wishes)
  const preprocess = objectOf(written.preprocess) ?? {}
  const image = imageSettingsSchema.safeParse(preprocess.image)
  const changed =
    wishes.preset === undefined && image.success
      ? wishedSettings(
          {
            ...image.data,
            size: [wished.height ?? image.data.size[0], wished.width ?? image.data.size[1]],
            layout: wished.layout,
          },
          wishes,
        )
      : presetSettings(wishes.preset ?? 'unit', wished, wishes)
  const task = stringOf(written.task) ?? 'image-classification'
  return { task: task as TaskName, preprocess: { ...preprocess, image: changed } }
}

function withoutNone({ task, image: _, family: __, ...others }: Overrides): Omit<
  Overrides,
  'task' | 'image' | 'family'
> & {
  readonly task?: TaskName | undefined
} {
  return task === undefined || task === 'none' ? others : { ...others, task }
}

/** What only a task needs, so that a manifest does not hold settings for nothing. */
function dropTask(fields: Record<string, unknown>): void {
  for (const key of ['task', 'labels', 'activation', 'preprocess', 'postprocess', 'tokenizer', 'chatTemplate'])
    delete fields[key]
}

async function licenceOf(source: ModelSource, notes: string[]): Promise<string> {
  const found = await findLicence(source)
  if (found !== undefined) {
    notes.push(`licence ${found.licence}, from ${found.from}`)
    return found.licence
  }
  notes.push('licence unknown: look up the terms of the model, and set --licence')
  return 'unknown'
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}
