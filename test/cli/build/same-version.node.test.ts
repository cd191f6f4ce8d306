import { expect, it } from 'vitest'
import type { Artifact, Manifest } from '../../../src/catalog/manifest.ts'
import { sameBeforeProof, sameVersion } from '../../../src/cli/build/same-version.ts'

function artifact(id: string, format: Artifact['format'], sha256 = id): Artifact {
  return { id, format, dtype: 'fp32', places: ['edge'], sha256, bytes: 1, chunks: [] }
}

function manifest(version: string, artifacts: readonly Artifact[]): Manifest {
  return { schema: 1, model: 'm', version, inputs: [], outputs: [], artifacts: [...artifacts] }
}

const all = [artifact('verge-fp32', 'verge'), artifact('verge-q8', 'verge'), artifact('edge-q8', 'ort')]
const packed = manifest('9', all)

it('finds a version that was stored without what a proof had left out', () => {
  const [first, second, edge] = all as [Artifact, Artifact, Artifact]
  for (const artifacts of [all, [first, edge], [second, edge], [edge]]) {
    const stored = manifest('3', artifacts)
    expect(sameBeforeProof([manifest('1', []), stored], packed, undefined)).toBe(stored)
    expect(sameVersion([stored], packed, undefined)).toBe(artifacts === all ? stored : undefined)
  }
})

it('finds none that differs in anything else, and none but the version that is asked for', () => {
  const other = manifest('3', [artifact('verge-q8', 'verge'), artifact('edge-q8', 'ort', 'other')])
  const wrong = manifest('4', [artifact('verge-q8', 'verge', 'other'), artifact('edge-q8', 'ort')])
  const more = manifest('5', [...all, artifact('onnx-q8', 'onnx')])
  expect(sameBeforeProof([other, wrong, more], packed, undefined)).toBeUndefined()
  expect(sameBeforeProof([manifest('3', all)], packed, '4')).toBeUndefined()
})
