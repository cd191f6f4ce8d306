import type { DescribeContext, TaskFields } from './context.ts'
import { activationFor, type LabelOutcome, labelsFor } from './labels.ts'

type Classes = Required<Pick<TaskFields, 'labels' | 'activation'>> & { readonly notes: readonly string[] }

/** Names of a classifier's classes, and what makes scores of its output. */
export function classLabels({ config, timm, signature, said }: DescribeContext): LabelOutcome<Classes> {
  const found = labelsFor(said.labels, { ...timm, ...config }, signature)
  if ('problem' in found) return found
  const { labels, notes } = found.value
  const activation = said.activation ?? activationFor(config, labels.length, signature)
  return { value: { labels, activation, notes: [`scores by ${activation}`, ...notes] } }
}
