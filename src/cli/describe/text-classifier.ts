import { classLabels } from './class-labels.ts'
import { type DescribeContext, type Guess, type TaskFields, taskNote } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { textPreprocess, textSettings } from './text.ts'

/** A model that gives texts, or their words, scores of classes. */
export async function describeTextClassifier(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const text = await textFields(context)
  if ('problem' in text) return text
  const classes = classLabels(context)
  if ('problem' in classes) return classes
  const { notes, ...fields } = text.value
  const { notes: why, ...named } = classes.value
  return {
    value: { fields: { task: context.task, ...named, ...fields }, notes: [taskNote(context), ...why, ...notes] },
  }
}

/** A model that finds parts of a text, without classes. */
export async function describeTextSpans(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const text = await textFields(context)
  if ('problem' in text) return text
  const { notes, ...fields } = text.value
  return { value: { fields: { task: context.task, ...fields }, notes: [taskNote(context), ...notes] } }
}

type TextFields = Pick<TaskFields, 'preprocess' | 'tokenizer'> & { readonly notes: readonly string[] }

/** How a text becomes tokens, by the files beside the model. */
export async function textFields(context: DescribeContext): Promise<LabelOutcome<TextFields>> {
  const { files, config, signature, said, task } = context
  const use = { writes: task === 'token-classification' || task === 'fill-mask', trims: said.trims ?? false }
  const text = await textSettings(files, config, signature, use)
  if ('problem' in text) return text
  const { tokenizer, notes } = text.value
  const preprocess = said.preprocess ?? { text: textPreprocess(text.value) }
  return { value: { tokenizer: said.tokenizer ?? tokenizer, preprocess, notes } }
}
