import { printable } from '../../../src/onnx/errors.ts'
import { UsageError } from '../command-line.ts'
import { baseOf } from './paths.ts'

/** Endings of files that hold a model in fewer bits, as Optimum and transformers.js name them. */
const REDUCED = /_(quantized|quint8|qint8|fp16|float16|int8|uint8|q8|q4|q4f16|bnb4|O[1-4])(_\w+)?\.onnx$/i

/** Longer lists help nobody. */
const NAMED = 20

export interface Choice {
  readonly path: string
  /** The ONNX files that were not chosen. */
  readonly others: readonly string[]
}

/**
 * Which of several ONNX files is the model: the one that was asked for; `model.onnx` at the top or in `onnx/`, where
 * Optimum and transformers.js put full precision; the only one; the only one in full precision.
 * @param paths with forward slashes, relative to the source
 * @param label of the source, for messages
 * @throws UsageError where that leaves none or several, naming them
 */
export function chooseModel(paths: readonly string[], label: string, file?: string): Choice {
  const models = paths.filter((path) => path.toLowerCase().endsWith('.onnx')).sort()
  const chosen = file === undefined ? byConvention(models, label) : byName(models, label, file)
  return { path: chosen, others: models.filter((path) => path !== chosen) }
}

function byConvention(models: readonly string[], label: string): string {
  const usual = ['model.onnx', 'onnx/model.onnx'].find((path) => models.includes(path))
  if (usual !== undefined) return usual
  const full = models.filter((path) => !REDUCED.test(path))
  const [only] = full.length === 1 ? full : models
  if (only === undefined) {
    throw new UsageError(
      `${label} holds no .onnx file. Export the model to ONNX first, for instance with "optimum-cli export onnx".`,
    )
  }
  if (full.length === 1 || models.length === 1) return only
  throw new UsageError(`${label} holds several models. Choose one with --file:\n${listed(models)}`)
}

function byName(models: readonly string[], label: string, file: string): string {
  const wanted = file.replaceAll('\\', '/').replace(/^\.\//, '')
  if (models.includes(wanted)) return wanted
  const [match, ...more] = models.filter((path) => baseOf(path) === wanted)
  if (match !== undefined && more.length === 0) return match
  if (match !== undefined) {
    throw new UsageError(
      `${label} holds several files "${printable(wanted)}". Give its path:\n${listed([match, ...more])}`,
    )
  }
  const there = models.length === 0 ? ' There is no .onnx file at all.' : ` There are:\n${listed(models)}`
  throw new UsageError(`${label} holds no model "${printable(wanted)}".${there}`)
}

function listed(models: readonly string[]): string {
  const lines = models.slice(0, NAMED).map((path) => `  ${printable(path)}`)
  if (models.length > NAMED) lines.push(`  and ${models.length - NAMED} more`)
  return lines.join('\n')
}
