import { describe, expect, it } from 'vitest'
import { suitableArtifacts } from '../../../src/browser/runtime/artifacts.ts'
import type { Artifact, Manifest } from '../../../src/catalog/manifest.ts'

const artifact = (id: string, more: Partial<Artifact>): Artifact => ({
  id,
  format: 'onnx',
  dtype: 'fp32',
  places: ['browser'],
  sha256: 'a'.repeat(64),
  bytes: 1,
  chunks: [],
  ...more,
})

const MODEL: Pick<Manifest, 'artifacts'> = {
  artifacts: [
    artifact('own', { format: 'verge', dtype: 'q8', places: ['edge'] }),
    artifact('ort', { format: 'ort', dtype: 'q8', places: ['edge'] }),
    artifact('plain', { dtype: 'q8', places: ['browser'] }),
    artifact('halves', { dtype: 'fp16', places: ['browser'] }),
    artifact('whole', { dtype: 'fp32', places: ['browser', 'origin'] }),
    artifact('elsewhere', { dtype: 'fp32', places: ['origin'] }),
  ],
}
const ids = (all: ReturnType<typeof suitableArtifacts>) => all.map(({ artifact: { id }, engine }) => `${id}: ${engine}`)

describe('artifacts that suit a browser', () => {
  it("are the Worker's in its order on the processor, then those for browsers", () => {
    expect(ids(suitableArtifacts(MODEL, 'wasm', false))).toEqual([
      'own: verge',
      'ort: onnxruntime',
      'plain: onnxruntime',
      'halves: onnxruntime',
      'whole: onnxruntime',
    ])
  })

  it('are floats first on a graphics processor, halves only where it computes in them', () => {
    expect(ids(suitableArtifacts(MODEL, 'webgpu', true))).toEqual([
      'halves: webgpu',
      'whole: webgpu',
      'elsewhere: webgpu',
      'plain: webgpu',
    ])
    expect(ids(suitableArtifacts(MODEL, 'webgpu', false))).not.toContain('halves: webgpu')
  })

  it('are none of a model that has none', () => {
    expect(suitableArtifacts({ artifacts: [artifact('o', { places: ['origin'] })] }, 'wasm', true)).toEqual([])
  })
})
