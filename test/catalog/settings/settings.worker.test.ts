import { describe, expect, it } from 'vitest'
import { imageSettingsSchema } from '../../../src/catalog/manifest.ts'
import { speechSettingsSchema } from '../../../src/catalog/settings/audio.ts'

const image = { mode: 'RGB', size: [224, 224], fit: 'stretch', rescale: 1 }

describe('settings that a task could not keep to', () => {
  it.each([
    ['a picture that no isolate holds', { size: [100_000, 100_000] }, 'size'],
    ['a box that is larger than the picture', { fit: 'mnist', box: 100_000 }, 'box'],
    ['a side to cut from that is larger than any picture', { fit: 'crop', resize: 100_000 }, 'resize'],
  ])('refuses %s', (_, fields, field) => {
    const paths = imageSettingsSchema.safeParse({ ...image, ...fields }).error?.issues.map(({ path }) => path[0])
    expect(paths).toEqual([field])
  })

  it.each([
    [{ mean: [0.5], std: [0.5] }],
    [{ mean: [1, 2, 3], std: [1, 2, 3] }],
    [{ mode: 'L', fit: 'mnist', size: [28, 28], box: 20 }],
  ])('takes %j', (fields) => {
    expect(imageSettingsSchema.safeParse({ ...image, ...fields }).success).toBe(true)
  })

  it('refuses speech that would end above where it begins', () => {
    const issues = speechSettingsSchema.safeParse({ neg_threshold: 0.6 }).error?.issues
    expect(issues?.map(({ path }) => path)).toEqual([['neg_threshold']])
    expect(speechSettingsSchema.safeParse({ threshold: 0.7, neg_threshold: 0.6 }).success).toBe(true)
  })
})
