import { afterAll, beforeAll, expect, it } from 'vitest'
import { embeddingSettingsSchema } from '../../src/catalog/settings/embedding.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { models } from '../compatibility/models/vectors.ts'
import { documentedJson, nth, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const page = readPage('vectors')
let docs: DocsWorker

beforeAll(async () => {
  docs = await startDocsWorker({})
  const writer = await writerFor(docs.worker)
  for (const [name, make] of Object.entries(models)) {
    const { files, settings } = await make()
    if (typeof files === 'string') throw new Error('files were expected')
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
    const base = { name, version: '1', licence: 'Apache-2.0', visibility: 'public', artifacts }
    await publish(writer, await pack(descriptionSchema.parse({ ...base, ...settings }), '.', files))
  }
})
afterAll(() => docs?.dispose())

/** The names of fields, whatever is in them. */
const shape = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.slice(0, 1).map(shape)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, shape(field)]))
      : typeof value

it('each command works as it is printed', async () => {
  expect(page.commands).toHaveLength(5)
  const answers = []
  for (const command of page.commands) answers.push(await docs.ask(command))
  const [kinds, beside, bits, late, ranked] = answers as [unknown, ...{ data: Record<string, unknown>[] }[]]
  const documented = documentedJson(nth(page.blocks('json'), 0))
  expect(shape(kinds)).toEqual(shape(documented))
  expect(Object.keys(beside?.data[0] ?? {})).toEqual(['object', 'index', 'embedding', 'sparse'])
  expect(bits?.data[0]?.embedding).toHaveLength(2)
  expect(late?.data).toHaveLength(2)
  expect(ranked).toMatchObject({ results: [{ index: expect.any(Number) }, { index: expect.any(Number) }] })
})

it('its settings are those of the schema', () => {
  const settings = documentedJson(nth(page.blocks('json'), 1))
  expect(embeddingSettingsSchema.parse(settings)).toEqual(settings)
  const { sparse, tokens } = embeddingSettingsSchema.shape
  for (const name of [...Object.keys(sparse.unwrap().shape), ...Object.keys(tokens.unwrap().shape)]) {
    expect(page.text).toContain(`| \`${name}\` |`)
  }
})
