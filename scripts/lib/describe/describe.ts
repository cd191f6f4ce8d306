import { basename } from 'node:path'
import type { TaskName } from '../../../src/catalog/manifest.ts'
import type { Signature } from '../../../src/core/tensors.ts'
import { UsageError } from '../command-line.ts'
import { type Description, descriptionSchema } from '../description.ts'
import type { ModelSource } from '../source/source.ts'
import { withClasses } from './classes.ts'
import { guessTask, type TaskFields } from './guess.ts'
import { findLicence } from './licence.ts'
import { defaultName } from './name.ts'
import { readSettings } from './settings.ts'

export { defaultName, nextVersion } from './name.ts'

/** Fields that a person has said otherwise. `task: 'none'` asks for raw tensors. */
export type Overrides = { readonly [K in keyof Omit<Description, 'task'>]?: Description[K] | undefined } & {
  readonly task?: TaskName | 'none' | undefined
}

export interface DescribeOptions {
  /** Left out: what a `verge.json` beside the model says, else `defaultName`. */
  readonly name?: string | undefined
  readonly source: ModelSource
  /** Of the model: inputs and outputs, as an engine reads them. */
  readonly signature: Signature
  readonly overrides?: Overrides
}

export interface Described {
  readonly description: Description
  /** What was chosen and why, and what a person should look at. */
  readonly notes: readonly string[]
}

/**
 * Describes a model as a `verge.json` does: by the one beside it, which then says all about its task, or by what
 * transformers and timm write beside their models. What is not certain becomes raw tensors, with a note of the reason.
 * @throws UsageError where what a person asked for does not fit the model, or a file beside it cannot be read
 */
export async function describeModel({ name, source, signature, overrides = {} }: DescribeOptions): Promise<Described> {
  const notes: string[] = []
  const written = await readSettings(source.files, 'verge.json')
  const task = written === undefined ? await taskFields(source, signature, overrides, notes) : withoutNone(overrides)
  if (written !== undefined) notes.push('described by the verge.json beside it')
  const licence = overrides.licence ?? written?.licence ?? (await licenceOf(source, notes))
  const artifacts = [{ file: basename(source.modelFile), dtype: 'fp32' }]
  const { task: _, ...said } = defined(overrides)
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

async function taskFields(
  source: ModelSource,
  signature: Signature,
  overrides: Overrides,
  notes: string[],
): Promise<Partial<TaskFields>> {
  if (overrides.task === 'none') {
    notes.push('raw tensors, as asked')
    return {}
  }
  const guess = await guessTask(source.files, signature, withoutNone(overrides))
  if ('value' in guess) {
    const { fields, notes: why } = await withClasses(guess.value, source.modelFile)
    notes.push(...why)
    return fields
  }
  if (overrides.task !== undefined)
    throw new UsageError(`The model cannot be served as ${overrides.task}: ${guess.problem}.`)
  notes.push(`raw tensors: ${guess.problem}`)
  return {}
}

function withoutNone({ task, ...others }: Overrides): Overrides & { readonly task?: TaskName | undefined } {
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
    notes.push(`licence ${found.licence}, by ${found.from}`)
    return found.licence
  }
  notes.push('licence unknown: find out under which terms it may be published, and say so with --licence')
  return 'unknown'
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}
