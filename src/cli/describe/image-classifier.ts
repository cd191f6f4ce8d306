import { classLabels } from './class-labels.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { pictureFields } from './image-fields.ts'
import type { LabelOutcome } from './labels.ts'

/** A model that gives a picture scores of classes. */
export async function describeImageClassifier(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const picture = pictureFields(context)
  if ('problem' in picture) return picture
  const classes = classLabels(context)
  if ('problem' in classes) return classes
  const { notes: how, preprocess } = picture.value
  const { notes, ...named } = classes.value
  return {
    value: { fields: { task: context.task, ...named, preprocess }, notes: [taskNote(context), ...notes, ...how] },
  }
}
