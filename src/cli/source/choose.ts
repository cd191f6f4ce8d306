import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import { exportLine, otherFormatIn } from './other-formats.ts'
import { baseOf } from './paths.ts'

/** Parts of names that say in which precision or by which method a file holds its model. */
const PRECISION =
  /^(quant(ized)?|[qiuf]\d+\w*|[qu]?u?int\d+|(mx)?fp\d+\w*|b?float\d+|bf\d+|[na]f\d+|bnb\d+|w\d+a\d+|e\dm\d\w*|o[1-4]|half|awq|gptq|hqq|dynamic|static|optimized)$/i
/** Letters and digits, as in the names of future precisions; versions do not match. */
const CODE = /^(?!v\d)[a-z]{1,4}\d\w{0,5}$/i

/** Longer lists are not useful. */
const NAMED = 20

export interface Choice {
  readonly path: string
  /** The ONNX files that were not chosen. */
  readonly others: readonly string[]
}

/**
 * Chooses the model among several ONNX files: the requested one; `model.onnx` at the top or in `onnx/`, where Optimum
 * and transformers.js put full precision; the only file; the only file in full precision.
 * @param paths with forward slashes, relative to the source
 * @param label of the source, for messages
 * @throws UsageError if no file or several files remain, with their names
 */
export function chooseModel(paths: readonly string[], label: string, file?: string): Choice {
  const models = paths.filter((path) => path.toLowerCase().endsWith('.onnx')).sort()
  const chosen = file === undefined ? byConvention(models, label, paths) : byName(models, label, file)
  return { path: chosen, others: models.filter((path) => path !== chosen) }
}

function byConvention(models: readonly string[], label: string, paths: readonly string[]): string {
  const usual = ['model.onnx', 'onnx/model.onnx'].find((path) => models.includes(path))
  if (usual !== undefined) return usual
  const full = fullPrecision(models)
  const [only] = full.length === 1 ? full : models
  if (only === undefined) {
    const instead = otherFormatIn(paths, label) ?? `Export the model to ONNX first: ${exportLine()}`
    throw new UsageError(`${label} contains no .onnx file. ${instead}`)
  }
  if (full.length === 1 || models.length === 1) return only
  throw new UsageError(`${label} contains several models. Choose one with --file:\n${listed(models)}`)
}

/**
 * Models in full precision, by their names: those without the suffix of another precision. New suffixes appear, so
 * anything that looks like one counts, and so does any suffix beside a known one: `model_new.onnx` beside
 * `model_q4.onnx` is another form of `model`.
 */
function fullPrecision(models: readonly string[]): string[] {
  const partsOf = (path: string): string[] => path.slice(0, -'.onnx'.length).split(/[_.-](?=[^/]*$)/)
  const isReduced = (path: string): boolean => {
    const [, ...suffixes] = partsOf(path)
    const folders = path.split('/').slice(0, -1)
    if (folders.some((folder) => folder.split(/[_.-]/).some((part) => PRECISION.test(part)))) return true
    return suffixes.some((part) => PRECISION.test(part)) || CODE.test(suffixes.at(-1) ?? '')
  }
  /** What stands before the suffix; all of a name that has none. */
  const stemOf = (path: string): string => {
    const parts = partsOf(path)
    return parts.slice(0, Math.max(1, parts.length - 1)).join('_')
  }
  const bases = new Set(models.filter(isReduced).map(stemOf))
  return models.filter((path) => {
    if (isReduced(path)) return false
    return bases.has(partsOf(path).join('_')) || !bases.has(stemOf(path))
  })
}

function byName(models: readonly string[], label: string, file: string): string {
  const wanted = file.replaceAll('\\', '/').replace(/^\.\//, '')
  if (models.includes(wanted)) return wanted
  const [match, ...more] = models.filter((path) => baseOf(path) === wanted)
  if (match !== undefined && more.length === 0) return match
  if (match !== undefined) {
    throw new UsageError(
      `${label} holds several files "${safeName(wanted)}". Give its path:\n${listed([match, ...more])}`,
    )
  }
  const there = models.length === 0 ? ' It contains no .onnx file.' : ` There are:\n${listed(models)}`
  throw new UsageError(`${label} holds no model "${safeName(wanted)}".${there}`)
}

function listed(models: readonly string[]): string {
  const lines = models.slice(0, NAMED).map((path) => `  ${safeName(path)}`)
  if (models.length > NAMED) lines.push(`  and ${models.length - NAMED} more`)
  return lines.join('\n')
}
