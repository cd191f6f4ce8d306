import { describe, expect, it } from 'vitest'
import { artifactText, byteText } from '../../../page/result/artifact.ts'

const ARTIFACTS = [{ id: 'edge-q8', format: 'verge', dtype: 'q8', bytes: 508_105, places: ['edge'] }] as const

describe('artifactText', () => {
  it('says what an artifact is', () => {
    expect(artifactText('edge-q8', ARTIFACTS)).toBe('Artifact edge-q8: q8, 508 kB, on Verge’s own engine.')
    expect(artifactText('other', ARTIFACTS)).toBe('Artifact other.')
    expect(artifactText(undefined, ARTIFACTS)).toBeUndefined()
  })
})

describe('byteText', () => {
  it.each([
    [12, '12 bytes'],
    [6378, '6.4 kB'],
    [508_105, '508 kB'],
    [22_650_000, '22.6 MB'],
  ])('writes %d as people read it', (bytes, text) => {
    expect(byteText(bytes)).toBe(text)
  })
})
