import { expect, it } from 'vitest'
import { hashOf, modelIn } from '../../../page/state/address.ts'

it('an address within the page names a model, or the list', () => {
  for (const name of ['digits', 'all-minilm.l6_v2', 'ünknown/name']) expect(modelIn(hashOf(name))).toBe(name)
  for (const other of ['', '#', '#/', '#main', '#/a/b', '#/%E0%A4%A'])
    expect([other, modelIn(other)]).toEqual([other, undefined])
})
