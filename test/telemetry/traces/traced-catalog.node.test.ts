import { describe, expect, it } from 'vitest'
import { tracedCatalog, tracedLists } from '../../../src/telemetry/traces/traced-catalog.ts'
import { tracing } from '../../fixtures/traces.ts'

describe('a catalogue whose reads are recorded', () => {
  it('names a model that exists, and none that a caller made up', async () => {
    const { arrival, exported, tracer } = tracing()
    const catalog = tracedCatalog(
      {
        alias: async (model) => (model === 'digits' ? ({ model } as never) : null),
        manifest: async () => ({}) as never,
        kept: () => [],
      },
      tracer,
    )
    const lists = tracedLists({ page: async () => ({ entries: [] }) }, tracer)
    await tracer.request(arrival, async () => {
      await catalog.alias('digits')
      await catalog.alias('made-up')
      await catalog.manifest('digits', '3', 'a')
      expect(catalog.kept()).toEqual([])
      await lists.page({ scope: { tree: 'public', sees: () => true }, limit: 1, manifests: false })
    })
    expect((await exported()).map(({ attributes, name }) => [name, ...Object.values(attributes)])).toEqual([
      ['alias', 'digits'],
      ['alias'],
      ['manifest', 'digits', '3'],
      ['list'],
      ['POST'],
    ])
  })
})
