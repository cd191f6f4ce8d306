import { readFile, stat } from 'node:fs/promises'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { attributeOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import type { Guess } from './context.ts'

/** Larger files hold no model of ai.onnx.ml, and are not read twice. */
const MOST_BYTES = 256 * 1024 * 1024

/** Attributes in which ai.onnx.ml's classifiers name their classes, in the order of their scores. */
const TEXTS = 'classlabels_strings'
const NUMBERS = ['classlabels_ints', 'classlabels_int64s']

/**
 * Adds the class names from the model's own classifier to a guess without labels. Without them, scores could not be
 * answered by class.
 */
export async function withClasses(guess: Guess, modelFile: string): Promise<Guess> {
  const { fields, notes } = guess
  if (fields.task !== 'tabular-classification' || fields.labels !== undefined) return guess
  const labels = await classesIn(modelFile)
  if (labels === undefined) return guess
  return {
    fields: { ...fields, labels },
    notes: [
      ...notes.filter((note) => !note.startsWith('labels:')),
      `labels: ${labels.length}, from the model's classifier`,
    ],
  }
}

/** Undefined where the file is no model that can be read here, or several classifiers in it disagree. */
async function classesIn(modelFile: string): Promise<string[] | undefined> {
  let nodes: readonly NodeProto[]
  try {
    if ((await stat(modelFile)).size > MOST_BYTES) return undefined
    nodes = decodeModel(new Uint8Array(await readFile(modelFile))).graph?.node ?? []
  } catch (error) {
    // The packer reports its faults.
    if (isOnnxError(error) || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const found = nodes.filter(({ domain }) => domain === 'ai.onnx.ml').map(classesOf)
  const [first, ...others] = found.filter((classes) => classes !== undefined)
  return others.every((classes) => JSON.stringify(classes) === JSON.stringify(first)) ? first : undefined
}

function classesOf(node: NodeProto): string[] | undefined {
  const texts = attributeOf(node, TEXTS)?.strings ?? []
  if (texts.length > 0) return texts.map((text) => new TextDecoder().decode(text))
  for (const name of NUMBERS) {
    const numbers = attributeOf(node, name)?.ints ?? []
    if (numbers.length > 0) return numbers.map(String)
  }
  return undefined
}
