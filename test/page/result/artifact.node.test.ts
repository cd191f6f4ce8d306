import { describe, expect, it } from 'vitest'
import type { ArtifactInfo } from '../../../page/models.ts'
import { artifactText } from '../../../page/result/artifact.ts'

const ARTIFACTS: ArtifactInfo[] = [{ id: 'edge-q8', format: 'verge', dtype: 'q8', bytes: 508_105, places: ['edge'] }]

describe('artifactText', () => {
  it('says what an artifact is', () => {
    expect(artifactText('edge-q8', ARTIFACTS)).toBe('Artifact edge-q8: q8, 496 KiB, on Verge’s own engine.')
    expect(artifactText('edge-q8', ARTIFACTS, 'webgpu')).toBe(
      'Artifact edge-q8: q8, 496 KiB, on WebGPU by ONNX Runtime.',
    )
    expect(artifactText('other', ARTIFACTS)).toBe('Artifact other.')
    expect(artifactText('other', ARTIFACTS, 'native')).toBe('Artifact other on native.')
    expect(artifactText(undefined, ARTIFACTS)).toBeUndefined()
  })
})
