import { expect, it } from 'vitest'
import { isObject } from '../../src/core/objects.ts'

it('takes for an object what JSON calls one', () => {
  for (const value of [{}, { length: 1 }, JSON.parse('{"__proto__": 1}')]) expect(isObject(value)).toBe(true)
  for (const value of [null, undefined, [], [{}], '{}', 1, true]) expect(isObject(value)).toBe(false)
})
