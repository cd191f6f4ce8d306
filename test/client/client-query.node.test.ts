import { expect, it } from 'vitest'
import { createClient } from '../../src/client/index.ts'

it('puts parameters into the query beside bytes: lists by repeating, objects as JSON', async () => {
  const seen: URL[] = []
  const client = createClient({
    url: 'https://verge.example',
    fetch: async (url) => {
      seen.push(new URL(String(url)))
      return Response.json([])
    },
  })
  const parameters = { top_k: 2, labels: ['a', 'b'], target_size: { width: 3, height: 2 } }
  await client.run('larger', new Blob(['x'], { type: 'image/png' }), { parameters, version: '4' })
  expect([...(seen[0]?.searchParams ?? [])]).toEqual([
    ['version', '4'],
    ['top_k', '2'],
    ['labels', 'a'],
    ['labels', 'b'],
    ['target_size', '{"width":3,"height":2}'],
  ])
})
