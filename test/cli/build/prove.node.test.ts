import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Kept } from '../../../src/cli/build/kept.ts'
import { type LoadedModel, loadModel } from '../../../src/cli/build/load.ts'
import { type ProofSettings, prove } from '../../../src/cli/build/prove.ts'
import { type PackedModel, pack } from '../../../src/cli/pack/packer.ts'
import { createProgress, silentProgress } from '../../../src/cli/terminal/progress.ts'
import { arithmeticModel } from '../../../synthetic/onnx-models.ts'
import { never } from '../../../synthetic/source.ts'

let folder: string
let loaded: LoadedModel
let packed: PackedModel

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-prove-'))
  await writeFile(join(folder, 'model.onnx'), arithmeticModel())
  loaded = await loadModel(join(folder, 'model.onnx'), { progress: silentProgress, signal: never() })
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32' as const }]
  const described = {
    name: 'sums',
    version: '1',
    licence: 'unknown',
    hot: true,
    visibility: 'private',
    artifacts,
  } as const
  packed = await pack(described, folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What the terminal shows of a proof that was found to be as given before. */
async function shown(verdict: 'agrees' | 'differs', against?: ProofSettings['against']): Promise<string> {
  const lines: string[] = []
  const progress = createProgress({ stream: { write: (text: string) => lines.push(text) }, isTTY: false })
  const kept: Kept = {
    find: async <T>(kind: string) =>
      kind === 'proof' ? ({ verification: { verdict }, measured: null } as T) : undefined,
    put: async () => {},
  }
  const settings = { verify: true, measure: false, tolerance: undefined, ...(against && { against }) }
  const set = { samples: [], synthetic: true, classes: undefined }
  await prove(packed, loaded, set, settings, { progress, signal: never() }, async () => packed, kept)
  return lines.join('')
}

it('names what a model is compared with: the original, or the original with fewer tokens', async () => {
  expect(await shown('agrees')).toContain('agrees with the original')
  expect(await shown('agrees', 'trimmed model')).toContain('agrees with the trimmed model')
  expect(await shown('differs', 'trimmed model')).toContain('differs from the trimmed model')
})
