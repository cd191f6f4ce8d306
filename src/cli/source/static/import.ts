import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { throwIfAborted } from '../../../core/errors.ts'
import { encodeModel } from '../../../onnx/codec.ts'
import { safeName } from '../../../onnx/errors.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { hashFile } from '../digest.ts'
import { SOURCE_LIMITS } from '../limits.ts'
import { readSafetensors, type StoredTensor } from '../safetensors.ts'
import { floatsOf, integersOf } from './floats.ts'
import { dataParts, type StaticGraph, staticGraph } from './graph.ts'
import { type StaticTensors, staticTensors } from './tensors.ts'
import { staticTokenizer } from './tokenizer.ts'

/** Raised when the same files become another model. */
const FORM = 1

const DATA = 'model.onnx.data'

export interface ImportOptions {
  readonly label: string
  readonly cacheDir: string
  readonly signal?: AbortSignal | undefined
}

/** A static embedding as an ONNX model, with the tokenizer that goes with it. */
export interface ImportedStatic {
  readonly modelFile: string
  readonly tokenizer: string
}

/**
 * Makes an ONNX model of a static embedding, once for the same files. Its table is copied piece by piece, whatever its
 * size, and appears under its name when it is whole.
 * @param weights path of `model.safetensors`
 * @param tokenizer path of `tokenizer.json`
 * @throws UsageError, VergeError cancelled
 */
export async function importStatic(
  weights: string,
  tokenizer: string | undefined,
  { cacheDir, label, signal }: ImportOptions,
): Promise<ImportedStatic> {
  const tensors = staticTensors(await readSafetensors(weights, label), label)
  const { embeddings, mapping } = tensors
  const [rows = 0, width = 0] = embeddings.shape
  const graph: StaticGraph = {
    rows,
    width,
    data: DATA,
    ...(mapping !== undefined && { mapped: mapping.shape[0] ?? 0 }),
    // Without groups, the weights are in the rows.
    weighted: mapping !== undefined && tensors.weights !== undefined,
  }
  const bytes = dataParts(graph).reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0)
  if (bytes > SOURCE_LIMITS.modelBytes) {
    throw new UsageError(`${label} has ${bytes} bytes of floats; the limit of a model is 2 GiB.`)
  }
  if (tokenizer === undefined) {
    throw new UsageError(`${label} has no tokenizer.json beside it. Copy the file that belongs to the model there.`)
  }
  const digests = [await hashFile(weights, 'sha256', signal), await hashFile(tokenizer, 'sha256', signal)]
  const key = createHash('sha256')
    .update([FORM, ...digests].join('\n'))
    .digest('hex')
    .slice(0, 32)
  const folder = join(cacheDir, 'static', key)
  const imported = { modelFile: join(folder, 'model.onnx'), tokenizer: join(folder, 'tokenizer.json') }
  if (await stat(imported.tokenizer).catch(() => undefined)) return imported

  await mkdir(dirname(folder), { recursive: true })
  const draft = await mkdtemp(`${folder}.`)
  try {
    await writeData(join(draft, DATA), weights, tensors, graph, label, signal)
    await writeFile(join(draft, 'model.onnx'), encodeModel(staticGraph(graph)))
    await writeFile(join(draft, 'tokenizer.json'), await staticTokenizer(tokenizer, graph.mapped ?? rows, label))
    throwIfAborted(signal)
    // Another command may have made the same model meanwhile.
    await rename(draft, folder).catch(async (error: unknown) => {
      if (!(await stat(imported.tokenizer).catch(() => undefined))) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return imported
}

/** What a person is told of it. */
export function importNote(weights: string): string {
  return `the graph was made of ${safeName(weights)}: the mean of the vectors of a text's tokens`
}

async function writeData(
  target: string,
  source: string,
  { embeddings, mapping, weights }: StaticTensors,
  { rows, weighted, width }: StaticGraph,
  label: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await open(target, 'w')
  try {
    const factors = weights === undefined ? undefined : await wholeOf(source, weights, signal)
    let done = 0
    for await (const piece of floatsOf(source, embeddings, signal)) {
      if (factors !== undefined && !weighted) {
        for (let i = 0; i < piece.length; i++)
          piece[i] = (piece[i] ?? 0) * (factors[Math.floor((done + i) / width)] ?? 0)
      }
      done += piece.length
      await file.writeFile(new Uint8Array(piece.buffer))
    }
    if (weighted && factors !== undefined) await file.writeFile(new Uint8Array(factors.buffer))
    if (mapping === undefined) return
    const places = await integersOf(source, mapping, signal)
    const wrong = places.findIndex((place) => place < 0 || place >= rows)
    if (wrong !== -1) {
      throw new UsageError(
        `${label}: its mapping gives token ${wrong} row ${places[wrong]} of ${rows}. Save the model again.`,
      )
    }
    await file.writeFile(new Uint8Array(BigInt64Array.from(places, BigInt).buffer))
  } finally {
    await file.close()
  }
}

async function wholeOf(
  source: string,
  tensor: StoredTensor,
  signal: AbortSignal | undefined,
): Promise<Float32Array<ArrayBuffer>> {
  const whole = new Float32Array(tensor.shape[0] ?? 0)
  let at = 0
  for await (const piece of floatsOf(source, tensor, signal)) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
