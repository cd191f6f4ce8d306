import { describe, expect, it } from 'vitest'
import { clientSnippet } from '../../../page/code/client.ts'

const CONTEXT = { url: 'https://verge.example', model: 'reviews' }
const REQUEST = { method: 'run', input: 'A film.' } as const

describe('clientSnippet', () => {
  it('is for the client of browsers where the model ran, or is to run, there', () => {
    const code = (more: object) => clientSnippet(REQUEST, { ...CONTEXT, ...more }).code
    expect(code({ place: 'browser' })).toContain(
      "createBrowserClient({ url: 'https://verge.example', placement: 'browser' })",
    )
    expect(code({ answered: 'browser' })).toContain(
      "createBrowserClient({ url: 'https://verge.example', placement: 'auto' })",
    )
    for (const more of [{}, { answered: 'edge' }, { place: 'edge', answered: 'browser' }]) {
      expect(code(more)).toContain("import { createClient } from 'https://verge.example/client.js'")
    }
  })

  it('writes tensors as the client takes them', () => {
    const input = {
      ids: { shape: [2], data: BigInt64Array.of(1n, -2n) },
      'a mask': { shape: [2], data: Uint8Array.of(1, 0), datatype: 'BOOL' },
      words: { shape: [1], data: ["it's"] },
    }
    const { code } = clientSnippet({ method: 'infer', input }, CONTEXT)
    expect(code).toContain('ids: { shape: [2], data: new BigInt64Array([1n, -2n]) },')
    expect(code).toContain("'a mask': { shape: [2], datatype: 'BOOL', data: new Uint8Array([1, 0]) },")
    expect(code).toContain(`words: { shape: [1], data: ["it's"] },`)
  })
})
