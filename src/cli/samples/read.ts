import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Manifest } from '../../catalog/manifest.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { bytesHeld, type Tensors } from '../../core/tensors.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { audioClassification } from '../../tasks/audio-classification.ts'
import { bytesClassification } from '../../tasks/bytes-classification.ts'
import { featureExtraction } from '../../tasks/feature-extraction.ts'
import { imageClassification } from '../../tasks/image-classification.ts'
import type { BoundTask, Task, TaskBody, TaskModel } from '../../tasks/task.ts'
import { textClassification } from '../../tasks/text-classification.ts'
import { tokenClassification } from '../../tasks/token-classification.ts'
import { UsageError } from '../terminal/command-line.ts'
import { folderItems } from './folder.ts'
import { idxImages, isIdx } from './idx.ts'
import { badSamples, type Content, choose, type Item, type Items, type SampleParts } from './items.ts'
import { jsonLines, plainLines, requests } from './lines.ts'
import { tensorsFromFiles, tensorsFromRequest } from './tensors.ts'

/** Facts about a model before packing: the settings of its task, and its inputs. */
export type ModelFacts = Pick<Manifest, 'model' | 'version' | 'inputs' | 'outputs'> &
  Partial<Pick<Manifest, 'task' | 'labels' | 'activation' | 'image' | 'text' | 'embedding' | 'audio' | 'bytes'>>

export interface ReadSamplesOptions {
  readonly manifest: ModelFacts
  /** The model's own files by their names in the manifest: `tokenizer.json`. */
  readonly files?: ReadonlyMap<string, Uint8Array>
  /** Samples at most; chosen at random where there are more. */
  readonly limit?: number
  readonly seed?: number
  /** Restricts the choice to one part of the samples, such as those held out from training. */
  readonly part?: SampleParts
  /** Changes samples that are tensors already, and no texts. */
  readonly renumber?: (inputs: Tensors) => Tensors
  readonly signal?: AbortSignal
  readonly progress?: (done: number, total: number) => void
}

const DEFAULT_LIMIT = 500
/** A file that is read whole, packed or unpacked: MNIST's 60,000 pictures are 47 MB. */
const MAX_FILE_BYTES = 512 * 1024 * 1024
/** Tensors of all samples together: they stay in memory beside the model, which is measured on them many times. */
const MAX_SAMPLE_BYTES = 512 * 1024 * 1024

/**
 * A person's data as the model's inputs, made the way that the server makes them.
 *
 * `spec` is a folder (of pictures or `.txt` files, in sub-folders named for their classes or flat; of ONNX's
 * `test_data_set_N`), or a file: `.jsonl` (`{"text" | "inputs", "label"}`, or Open Inference Protocol requests),
 * `.json` (one such request, or an array of them), `.txt` (a text a line), `*-images-idx3-*` (MNIST's format, with its
 * labels beside it). Files may be packed with gzip.
 * @throws UsageError that begins with `bad samples:` and names the file and the line
 */
export async function readSamples(spec: string, options: ReadSamplesOptions): Promise<Sample[]> {
  const { manifest, limit = DEFAULT_LIMIT, seed = 1, part, signal, progress } = options
  const chosen = await choose(await itemsOf(spec, manifest.task), limit, seed, part)
  if (chosen.length === 0) throw badSamples(basename(spec), 'it contains no samples.')
  const toTensors = tensorsBy(options)
  const samples: Sample[] = []
  let bytes = 0
  for (const [index, item] of chosen.entries()) {
    signal?.throwIfAborted()
    const sample = await sampleOf(item, toTensors, manifest)
    bytes += bytesHeld(sample.inputs)
    if (bytes > MAX_SAMPLE_BYTES) {
      throw badSamples(item.where, `${index + 1} samples take more than ${MAX_SAMPLE_BYTES} bytes. Use fewer samples.`)
    }
    samples.push(sample)
    progress?.(index + 1, chosen.length)
  }
  return samples
}

async function itemsOf(spec: string, task: string | undefined): Promise<Items> {
  let folder: boolean
  try {
    folder = (await stat(spec)).isDirectory()
  } catch (error) {
    throw badSamples(spec, 'it cannot be read. Give a folder or a file.', error)
  }
  if (folder) return folderItems(spec, readWhole, task === 'bytes-classification')
  const name = spec.replace(/\.gz$/, '')
  if (isIdx(spec)) return idxImages(spec, readWhole)
  if (/\.(?:jsonl|ndjson)$/.test(name)) return jsonLines(spec)
  if (name.endsWith('.json')) return requests(spec, readWhole)
  if (name.endsWith('.txt')) return plainLines(spec)
  throw badSamples(
    basename(spec),
    'samples must be a folder, .jsonl, .json, .txt or *-images-idx3-* (each may end in .gz).',
  )
}

/** A file in memory, unpacked where its name ends in `.gz`. */
async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes; the limit is ${MAX_FILE_BYTES}`)
    const packed = await readFile(path)
    const bytes = path.endsWith('.gz') ? await promisify(gunzip)(packed, { maxOutputLength: MAX_FILE_BYTES }) : packed
    // No Buffer: its `slice` shares memory, where that of the rest of the program copies.
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } catch (error) {
    throw badSamples(basename(path), `it cannot be read: ${(error as Error).message}.`, error)
  }
}

type ToTensors = (content: Content, where: string) => Promise<Tensors>

async function sampleOf(item: Item, toTensors: ToTensors, manifest: ModelFacts): Promise<Sample> {
  try {
    const { content, label } = await item.read()
    const inputs = await toTensors(content, item.where)
    return label === undefined ? { inputs } : { inputs, label: classOf(label, manifest, item.where) }
  } catch (error) {
    if (isVergeError(error) || isOnnxError(error)) throw badSamples(item.where, error.message, error)
    throw error
  }
}

/** The index of a class that is named, or given as a number. */
function classOf(label: number | string, { labels }: ModelFacts, where: string): number {
  const named = labels?.findIndex((name) => name.toLowerCase() === String(label).toLowerCase()) ?? -1
  if (typeof label === 'string' && named !== -1) return named
  const index = typeof label === 'string' && !/^\d+$/.test(label) ? Number.NaN : Number(label)
  if (Number.isSafeInteger(index) && index >= 0 && index < (labels?.length ?? Number.POSITIVE_INFINITY)) return index
  const known = labels?.slice(0, 5).join(', ') ?? 'numbers, because the model has no labels'
  throw badSamples(
    where,
    `"${label}" is not one of the model's classes: ${known}${(labels?.length ?? 0) > 5 ? ', ...' : ''}.`,
  )
}

function tensorsBy({ manifest, files = new Map(), renumber = (inputs) => inputs }: ReadSamplesOptions): ToTensors {
  const parsed = new Map<string, unknown>()
  const model: TaskModel = {
    manifest: { schema: 1, artifacts: [], ...manifest },
    async file({ name, parse }) {
      const bytes = files.get(name)
      if (bytes === undefined) throw new UsageError(`These samples need the model's ${name}.`)
      if (!parsed.has(name)) parsed.set(name, parse(bytes))
      return parsed.get(name) as ReturnType<typeof parse>
    },
  }
  return async (content, where) => {
    if (content.kind === 'request') return renumber(tensorsFromRequest(content.inputs, manifest.inputs, LIMITS))
    if (content.kind === 'tensors') return renumber(tensorsFromFiles(content.files, manifest.inputs))
    const body: TaskBody = content.kind === 'bytes' ? content : { kind: 'json', value: { inputs: content.inputs } }
    switch (manifest.task) {
      case 'image-classification':
        return tensorsOf(imageClassification(LIMITS), body, model)
      case 'audio-classification':
        return tensorsOf(audioClassification(LIMITS), body, model)
      case 'bytes-classification':
        return firstRunOf(bytesClassification(LIMITS), body, model)
      case 'text-classification':
        return firstRunOf(textClassification(LIMITS), body, model)
      case 'token-classification':
        return firstRunOf(tokenClassification(LIMITS), body, model)
      case 'feature-extraction':
      case 'sentence-similarity':
        return firstRunOf(featureExtraction(LIMITS), body, model)
      default:
        throw badSamples(
          where,
          'the model has no task that converts it to tensors. Give tensors: requests of the Open Inference Protocol as JSON lines, or test_data_set_0.',
        )
    }
  }
}

/** The tensors that a task runs first: all of them, for one text. */
async function firstRunOf(task: BoundTask, body: TaskBody, model: TaskModel): Promise<Tensors> {
  const enough = new Error('the tensors are known')
  let tensors: Tensors | undefined
  try {
    await task.execute(body, model, async (inputs) => {
      tensors = inputs
      throw enough
    })
  } catch (error) {
    if (error !== enough) throw error
  }
  if (tensors === undefined) throw new VergeError('empty_input', 'The input is too short for the model.')
  return tensors
}

async function tensorsOf<Input, Parameters>(
  task: Pick<Task<Input, Parameters, unknown>, 'parse' | 'toTensors'>,
  body: TaskBody,
  model: TaskModel,
): Promise<Tensors> {
  const { input, parameters } = await task.parse(body, model.manifest, model)
  return task.toTensors(input, parameters, model)
}
