import type { DescribeContext, TaskFields } from './context.ts'
import { pictureFields } from './image-fields.ts'
import type { LabelOutcome } from './labels.ts'

type Whole = { readonly preprocess: NonNullable<TaskFields['preprocess']>; readonly notes: readonly string[] }

/**
 * Image preprocessing of a model that answers for all pixels: where its settings cut the middle out of pictures, they are
 * stretched instead.
 * @throws UsageError if the options contradict the model
 */
export function wholePicture(context: DescribeContext): LabelOutcome<Whole> {
  const found = pictureFields(context)
  if ('problem' in found) return found
  const { preprocess, notes } = found.value
  if (preprocess.image?.fit !== 'crop') return found
  const { resize: _, ...image } = preprocess.image
  const [height, width] = image.size
  return {
    value: {
      preprocess: { ...preprocess, image: { ...image, fit: 'stretch' } },
      notes: [
        ...notes.filter((note) => !note.startsWith('images are cropped')),
        `whole images are stretched to ${width} x ${height}, because the answer has all of their pixels`,
      ],
    },
  }
}
