import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { VISIBILITIES } from '../../src/catalog/alias.ts'
import {
  accuracySchema,
  costSchema,
  imageSettingsSchema,
  modelName,
  PLACES,
  TASKS,
  textSettingsSchema,
  versionName,
} from '../../src/catalog/manifest.ts'
import { VergeError } from '../../src/core/errors.ts'

/** A file beside `verge.json`: no folders, so that a description reaches nothing outside its own. */
const fileName = z.string().regex(/^[^/\\]+$/, 'the name of a file in the same folder')

/**
 * One file of a model, and what was measured of it: a person's or a tool's word, because what is measured anew each
 * time would differ from machine to machine, and a version's manifest may not.
 */
const artifactDescriptionSchema = z.strictObject({
  file: fileName,
  dtype: z.string().min(1),
  /** Left out: wherever it runs. */
  places: z.array(z.enum(PLACES)).min(1).optional(),
  /** Of a run at the edge. */
  cost: costSchema.optional(),
  accuracy: accuracySchema.optional(),
})

/** `models/<name>/verge.json`: what a person says of a model; everything else is read from its files. */
export const descriptionSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: modelName,
    version: versionName,
    /** Left out: raw tensors only. */
    task: z.enum(TASKS).optional(),
    description: z.string().optional(),
    visibility: z.enum(VISIBILITIES).default('private'),
    /** Whether what the edge needs is copied to KV, near the readers; false for models that are seldom asked. */
    hot: z.boolean().default(true),
    licence: z.string().min(1),
    source: z.string().optional(),
    labels: z.array(z.string()).min(1).optional(),
    activation: z.enum(['softmax', 'sigmoid', 'none']).optional(),
    preprocess: z
      .strictObject({ image: imageSettingsSchema.optional(), text: textSettingsSchema.optional() })
      .optional(),
    tokenizer: fileName.optional(),
    artifacts: z.array(artifactDescriptionSchema).min(1),
  })
  .superRefine((description, context) => {
    const needs = (path: string[], what: string): void => {
      context.addIssue({ code: 'custom', path, message: `needed by task "${description.task}": ${what}` })
    }
    if (description.task !== undefined && !description.labels) needs(['labels'], 'the names of its classes, in order')
    if (description.task === 'image-classification' && !description.preprocess?.image) {
      needs(['preprocess', 'image'], 'how a picture becomes a tensor')
    }
    if (description.task === 'text-classification') {
      if (!description.preprocess?.text) needs(['preprocess', 'text'], 'how many tokens it takes')
      if (!description.tokenizer) needs(['tokenizer'], 'the name of its tokenizer.json')
    }
  })

export type Description = z.infer<typeof descriptionSchema>
export type ArtifactDescription = Description['artifacts'][number]

/** Reads and checks a model folder's `verge.json`. @throws manifest_invalid, naming each field that is wrong */
export async function readDescription(folder: string): Promise<Description> {
  const file = join(folder, 'verge.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new VergeError('manifest_invalid', `${file} cannot be read: a model folder needs one.`, { cause: error })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new VergeError('manifest_invalid', `${file} is not JSON: ${(error as Error).message}`, { cause: error })
  }
  const result = descriptionSchema.safeParse(value)
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(all)'}: ${issue.message}`)
    throw new VergeError('manifest_invalid', `${file} is not right:\n${problems.join('\n')}`)
  }
  return result.data
}
