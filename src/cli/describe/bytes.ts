import { bytesSettingsSchema } from '../../catalog/settings/bytes.ts'
import type { Guess, TaskFields } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { numberOf, objectOf, readSettings } from './settings.ts'

type Said = { readonly [K in keyof TaskFields]?: TaskFields[K] | undefined }

/**
 * Recognises a model that classifies files by their bytes, by google/magika's `config.min.json`. Undefined if this file
 * is missing or another task is set.
 * @throws UsageError where the file is not JSON
 */
export async function guessBytes(
  files: ReadonlyMap<string, string>,
  said: Said,
): Promise<LabelOutcome<Guess> | undefined> {
  if (said.task !== undefined && said.task !== 'bytes-classification') return undefined
  const config = await readSettings(files, 'config.min.json')
  if (config === undefined || numberOf(config.beg_size) === undefined || numberOf(config.end_size) === undefined) {
    if (said.task === undefined) return undefined
    if (said.preprocess?.bytes === undefined) {
      return { problem: 'the folder has no config.min.json, which describes the bytes that the model takes' }
    }
  }
  if (config?.use_inputs_at_offsets === true)
    return { problem: 'it takes bytes at fixed offsets, which Verge does not support' }
  const settings = bytesSettingsSchema.safeParse(
    said.preprocess?.bytes ?? {
      begin: config?.beg_size,
      middle: config?.mid_size,
      end: config?.end_size,
      blockSize: config?.block_size,
      padding: config?.padding_token,
      strip: true,
      minBytes: config?.min_file_size_for_dl,
      threshold: config?.medium_confidence_threshold,
      thresholds: objectOf(config?.thresholds),
      overwrite: objectOf(config?.overwrite_map),
      fallback: { text: 'txt', binary: 'unknown' },
    },
  )
  if (!settings.success) {
    const [issue] = settings.error.issues
    return { problem: `config.min.json is invalid: ${issue?.path.join('.')}: ${issue?.message}` }
  }
  const labels = said.labels ?? textsOf(config?.target_labels_space)
  if (labels === undefined) return { problem: 'no file names its labels' }
  return {
    value: {
      fields: {
        task: 'bytes-classification',
        labels,
        activation: said.activation ?? 'none',
        preprocess: { bytes: settings.data },
      },
      notes: [
        `task bytes-classification, ${said.task === undefined ? 'by config.min.json' : 'as requested'}`,
        `${labels.length} labels; below the threshold the label is "txt" for UTF-8 and "unknown" otherwise`,
      ],
    },
  }
}

function textsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  const texts = value as unknown[]
  return texts.every((text): text is string => typeof text === 'string') ? texts : undefined
}
