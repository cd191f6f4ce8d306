import { describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'

const image = { mode: 'RGB', size: [224, 224], fit: 'stretch', rescale: 1 }

function wrongPaths(preprocess: object): string[] {
  const { error } = descriptionSchema.safeParse({ preprocess })
  const paths = error?.issues.map(({ path }) => path.join('.')) ?? []
  return paths.filter((path) => path.startsWith('preprocess'))
}

describe('settings in verge.json that a task could not keep to', () => {
  it.each([
    ['two means for three channels', { mean: [0.5, 0.4], std: [1] }, 'mean'],
    ['three deviations for one channel', { mode: 'L', mean: [0.5], std: [1, 2, 3] }, 'std'],
    ['no mean at all', { mean: [] }, 'mean'],
    ['a picture that no isolate holds', { size: [100_000, 100_000] }, 'size'],
  ])('refuses %s', (_, fields, field) => {
    expect(wrongPaths({ image: { ...image, ...fields } })).toEqual([`preprocess.image.${field}`])
  })

  it('refuses a default prompt that there is not', () => {
    const prompts = { query: 'q: ' }
    expect(wrongPaths({ embedding: { prompts, defaultPrompt: 'toString' } })).toEqual([
      'preprocess.embedding.defaultPrompt',
    ])
  })

  it('takes what fits', () => {
    expect(wrongPaths({ image: { ...image, mean: [0.5], std: [0.5] } })).toEqual([])
    expect(wrongPaths({ image: { ...image, mean: [1, 2, 3], std: [1, 2, 3] } })).toEqual([])
    expect(wrongPaths({ embedding: { prompts: { query: 'q: ' }, defaultPrompt: 'query' } })).toEqual([])
  })
})
