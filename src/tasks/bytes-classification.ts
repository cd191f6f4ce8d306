import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import type { BytesSettings } from '../catalog/settings/bytes.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { ARRAY_TYPES, type Tensor, type Tensors } from '../core/tensors.ts'
import { byteFeatures, isText } from '../media/bytes/features.ts'
import { type FileKind, fileRequestSchema, readFileBody } from './shared/file-body.ts'
import { type Classification, classificationSchema, classifications } from './shared/scores.ts'
import type { BoundTask } from './task.ts'

const DEFAULT_TOP_K = 5

const parametersSchema = z
  .strictObject({
    top_k: z.number().int().positive().optional().meta({ description: 'How many labels, best first' }),
    prediction_mode: z.enum(['high-confidence', 'medium-confidence', 'best-guess']).optional().meta({
      description:
        "When a general label replaces the best label: below the label's own threshold (the default), below the model's general threshold, or never",
    }),
  })
  .meta({ id: 'BytesClassificationParameters' })
type Parameters = z.infer<typeof parametersSchema>

const requestSchema = fileRequestSchema(
  'The file in base64, or as a data: URL',
  parametersSchema,
  'BytesClassificationRequest',
)

/** A file of whatever type: that is the question. */
const ANY_FILE: FileKind = {
  noun: 'file',
  one: 'A file',
  ifTooLarge: 'Send a part of it.',
  ifEmpty: 'The file is empty. Send some bytes.',
}

/**
 * What a file is, by its bytes. A file too short for the model, and one that it is not sure of, get a general label, as
 * google/magika has it.
 */
export function bytesClassification(limits: Limits): BoundTask {
  return {
    name: 'bytes-classification',
    mediaTypes: ['application/octet-stream'],
    request: requestSchema,
    response: classificationSchema,
    // "import sys\n\nfor line in sys.stdin:\n    print(line.strip())\n"
    example: {
      inputs: 'aW1wb3J0IHN5cwoKZm9yIGxpbmUgaW4gc3lzLnN0ZGluOgogICAgcHJpbnQobGluZS5zdHJpcCgpKQo=',
      parameters: { top_k: 3 },
    },

    async execute(body, { manifest }, run): Promise<Classification> {
      const settings = settingsOf(manifest)
      const { bytes, parameters } = readFileBody(body, parametersSchema, ANY_FILE, limits.requestBodyBytes)
      const { values, beginBytes } = byteFeatures(bytes, settings)
      const least = Math.min(settings.minBytes ?? 0, settings.begin)
      if (bytes.length < (settings.minBytes ?? 0) || beginBytes < least) {
        const text = isText(bytes.subarray(0, settings.blockSize))
        return [{ label: general(settings, text), score: 1 }]
      }
      const outputs = await run(inputTensors(values, manifest))
      const scores = classifications(outputs, {}, manifest, Number.POSITIVE_INFINITY)[0] ?? []
      return decided(scores, settings, parameters, bytes).slice(0, parameters.top_k ?? DEFAULT_TOP_K)
    },
  }
}

/** With the names and the confidence that the settings ask for. Every label stands once, by its best score. */
function decided(
  scores: Classification,
  settings: BytesSettings,
  { prediction_mode = 'high-confidence' }: Parameters,
  bytes: Uint8Array,
): Classification {
  const { overwrite = {}, fallback, threshold = 0, thresholds = {} } = settings
  const renamed = scores.map(({ label, score }) => ({ label: own(overwrite, label) ?? label, score }))
  const best = scores[0]
  if (best !== undefined && fallback !== undefined && prediction_mode !== 'best-guess') {
    const least = prediction_mode === 'high-confidence' ? (own(thresholds, best.label) ?? threshold) : threshold
    if (best.score < least) {
      const name = own(overwrite, best.label) ?? best.label
      const text = fallback.textLabels?.includes(name) ?? isText(bytes.subarray(0, settings.blockSize))
      renamed.unshift({ label: general(settings, text), score: best.score })
    }
  }
  const seen = new Set<string>()
  return renamed.filter(({ label }) => !seen.has(label) && seen.add(label))
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}

function general({ fallback }: BytesSettings, text: boolean): string {
  if (text) return fallback?.text ?? 'txt'
  return fallback?.binary ?? 'unknown'
}

function inputTensors(values: Int32Array, manifest: Manifest): Tensors {
  const [spec, other] = manifest.inputs
  const shape = spec?.shape
  const last = shape?.at(-1)
  const fits =
    spec !== undefined &&
    other === undefined &&
    shape?.length === 2 &&
    (typeof last !== 'number' || last < 0 || last === values.length)
  if (!fits) throw unfit(manifest, `does not take rows of ${values.length} numbers, as its settings require`)
  const { datatype } = spec
  if (datatype === null || datatype === 'BYTES' || datatype === 'BOOL' || datatype === 'FP16') {
    throw unfit(manifest, `has an input "${spec.name}" that does not take integers`)
  }
  const data = new ARRAY_TYPES[datatype](values.length)
  const big = data instanceof BigInt64Array || data instanceof BigUint64Array
  for (const [i, value] of values.entries()) data[i] = big ? BigInt(value) : value
  // Bytes fit into any type; the padding, which lies beside them, may not.
  if (values.some((value, i) => Number(data[i]) !== value)) {
    throw unfit(manifest, `has an input "${spec.name}" of ${datatype}, which cannot hold its padding value`)
  }
  return new Map([[spec.name, { datatype, shape: [1, values.length], data } as unknown as Tensor]])
}

function settingsOf(manifest: Manifest): BytesSettings {
  if (manifest.bytes !== undefined) return manifest.bytes
  throw unfit(manifest, 'has no "bytes" settings')
}

function unfit({ model, version }: Manifest, problem: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" ${problem}. Correct its settings and push it again.`,
  )
}
