import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { pictureFields } from './image-fields.ts'
import type { LabelOutcome } from './labels.ts'

/** A model that makes a vector of a picture. */
export async function describeImageFeatures(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const picture = pictureFields(context)
  if ('problem' in picture) return picture
  const { notes, preprocess } = picture.value
  return { value: { fields: { task: context.task, preprocess }, notes: [taskNote(context), ...notes] } }
}
