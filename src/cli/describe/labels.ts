import type { Signature } from '../../core/tensors.ts'
import { objectOf, type Settings, sizeOf, stringOf } from './settings.ts'

/** Classes that no model has more of; a longer list is no list of classes. */
const MOST_LABELS = 100_000

/** Either something, or why there is nothing. */
export type LabelOutcome<T> = { readonly value: T } | { readonly problem: string }

export interface Labels {
  readonly labels: string[]
  readonly notes: readonly string[]
}

/**
 * Names of a classifier's classes in order: those given, or `id2label`'s, or LABEL_0, LABEL_1 ... as many as the output
 * has. They have to be as many as the model's scores, where its signature says how many those are.
 */
export function labelsFor(
  given: readonly string[] | undefined,
  config: Settings,
  signature: Signature,
): LabelOutcome<Labels> {
  const scores = signature.outputs.filter(({ datatype, shape }) => isFloat(datatype) && shape.length > 0)
  if (scores.length === 0) return { problem: 'it has no floating-point output that could be scores' }
  const named = given ?? labelsIn(config)
  const lasts = scores.map(({ shape }) => shape.at(-1))
  if (named !== undefined) {
    // The server takes the first output whose rows are as long as there are labels.
    if (lasts.some((last) => last === named.length || typeof last === 'string' || last === -1)) {
      return { value: { labels: [...named], notes: [] } }
    }
    return { problem: `there are ${named.length} labels, but its output has ${lasts.join(' or ')} scores` }
  }
  const first = lasts.find((last) => typeof last === 'number' && last > 0 && last <= MOST_LABELS)
  const count = first ?? sizeOf(config.num_labels) ?? sizeOf(config.num_classes)
  if (typeof count !== 'number' || count > MOST_LABELS) return { problem: 'no file names its labels' }
  return {
    value: {
      labels: Array.from({ length: count }, (_, i) => `LABEL_${i}`),
      notes: [`labels: no file names the ${count} classes, so they are called LABEL_0 to LABEL_${count - 1}`],
    },
  }
}

/** The names of classes in a configuration, by `id2label` or as timm writes them. */
export function labelsIn(config: Settings): string[] | undefined {
  const byId = objectOf(config.id2label)
  if (byId !== undefined) {
    const count = Object.keys(byId).length
    const labels = Array.from({ length: Math.min(count, MOST_LABELS) }, (_, i) => stringOf(byId[String(i)]))
    if (count > 0 && labels.length === count && labels.every((label) => label !== undefined)) return labels
  }
  // timm's names, with their descriptions if present.
  const names = config.label_names
  if (!Array.isArray(names) || names.length === 0 || names.length > MOST_LABELS) return undefined
  const meanings = objectOf(config.label_descriptions) ?? {}
  const labels = names.map((name: unknown) => {
    const key = stringOf(name)
    return key !== undefined && Object.hasOwn(meanings, key) ? (stringOf(meanings[key]) ?? key) : key
  })
  return labels.every((label) => label !== undefined) ? labels : undefined
}

/**
 * What turns the output into scores, as transformers' pipelines choose it: by `problem_type`, else sigmoid for a single
 * class and softmax for several; nothing where the output is named as if it had been done in the graph.
 */
export function activationFor(config: Settings, labels: number, signature: Signature): 'softmax' | 'sigmoid' | 'none' {
  if (config.problem_type === 'regression') return 'none'
  if (signature.outputs.some(({ name, datatype }) => isFloat(datatype) && /softmax|sigmoid|prob/i.test(name)))
    return 'none'
  if (config.problem_type === 'multi_label_classification') return 'sigmoid'
  return labels === 1 ? 'sigmoid' : 'softmax'
}

function isFloat(datatype: string | null): boolean {
  return datatype === 'FP32' || datatype === 'FP16' || datatype === 'FP64'
}
