import { describe, expect, it } from 'vitest'
import type { Visibility } from '../../../src/catalog/alias.ts'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { checkManifest } from '../../../src/catalog/parse.ts'
import { browserPlanPath, browserPlanSchema, weightsPath } from '../../../src/protocols/browser/wire.ts'
import { downloads } from '../../fixtures/downloads.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'

const blob = (digit: string, bytes: number) => ({
  sha256: digit.repeat(64),
  bytes,
  chunks: [{ sha256: digit.repeat(64), bytes }],
})
const pages = { ...blob('b', 20), tables: [{ offset: 0, pageBytes: 10, pages: 2 }] }
const own = {
  id: 'verge-q8',
  format: 'verge' as const,
  dtype: 'q8',
  places: ['edge' as const, 'browser' as const],
  runtime: 'verge 1.2.0',
  memoryBytes: 30,
  cost: { base: 1, perElement: 2 },
  pages,
  ...blob('a', 10),
}
const plain = { id: 'onnx-q8', format: 'onnx' as const, dtype: 'q8', places: ['browser' as const], ...blob('c', 30) }
const large = { id: 'onnx-fp32', format: 'onnx' as const, dtype: 'fp32', places: ['origin' as const], ...blob('d', 40) }
const edge = { id: 'edge-q8', format: 'ort' as const, dtype: 'q8', places: ['edge' as const], ...blob('f', 60) }
const manifest: Partial<Manifest> & Pick<Manifest, 'inputs' | 'outputs'> = {
  task: 'text-classification',
  licence: 'MIT',
  source: 'hf:org/name',
  description: 'Says whether a review is kind.',
  placement: 'origin',
  downloadable: true,
  inputs: [{ name: 'ids', datatype: 'INT64', shape: [1, 'n'] }],
  outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 2] }],
  labels: ['unkind', 'kind'],
  text: { maxTokens: 128 },
  files: { 'tokenizer.json': blob('e', 50) },
  artifacts: [large, own, edge, plain],
}

function served(visibility: Visibility, more: Partial<Manifest> = {}) {
  return testApp({ models: [testModel('m', visibility, { ...manifest, ...more })], downloads: downloads() })
}

describe('GET /browser/{model}', () => {
  it('has all that a browser needs to run the version, and nothing that it may not download', async () => {
    const { request } = served('public')
    const response = await request(browserPlanPath('m'))
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(response.headers.get('verge-model')).toBe('m@2')
    const text = await response.text()
    const plan = browserPlanSchema.parse(JSON.parse(text))
    expect(plan).toMatchObject({ model: 'm', version: '2', digest: '0'.repeat(64) })
    expect(plan.artifacts).toEqual([own, plain])
    expect(plan.files).toEqual(manifest.files)
    for (const secret of ['dddd', 'ffff', 'hf:org/name', 'onnx-fp32', 'edge-q8']) expect(text).not.toContain(secret)
    // it is a manifest again
    const { artifacts, files } = plan
    const again = checkManifest({ ...plan.manifest, artifacts, files }, 'm', '2')
    const { source: _, description: __, placement: ___, downloadable: ____, ...needed } = manifest
    expect(again).toEqual({ schema: 1, model: 'm', version: '2', ...needed, artifacts: [own, plain] })
  })

  it('is refused for a version that is not downloadable, whoever asks', async () => {
    for (const downloadable of [undefined, false]) {
      const { request } = served('public', { downloadable })
      for (const headers of [{}, OPERATOR]) {
        const response = await request(browserPlanPath('m'), { headers })
        expect([response.status, await response.json()]).toEqual([
          403,
          {
            error: {
              code: 'not_downloadable',
              message: expect.stringContaining('--downloadable'),
              request_id: expect.any(String),
              model: 'm',
              versions: ['2'],
            },
          },
        ])
      }
    }
  })

  it('looks like a missing model to whoever may not run it, and gives the operator any version', async () => {
    const { request } = served('private')
    expect((await request(browserPlanPath('m'))).status).toBe(404)
    expect((await request(browserPlanPath('m'), { headers: { authorization: 'Bearer no' } })).status).toBe(401)
    const asked = async (version?: string) =>
      (await request(browserPlanPath('m', version), { headers: OPERATOR })).json()
    expect(await asked()).toMatchObject({ version: '2' })
    expect(await asked('1')).toMatchObject({ version: '1', manifest: { version: '1' } })
    expect((await served('public').request(browserPlanPath('m', '1'))).status).toBe(404)
  })

  it('is at a path that any name of a model and a version fits into', () => {
    expect(browserPlanPath('a.b', '1.0')).toBe('/browser/a.b?version=1.0')
    expect(weightsPath('a/b', 'c?', '&')).toBe('/weights/a%2Fb/c%3F?version=%26')
    expect(weightsPath('m', 'c')).toBe('/weights/m/c')
  })
})
