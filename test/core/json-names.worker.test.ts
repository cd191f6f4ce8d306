import { describe, expect, it } from 'vitest'
import { repeatsName } from '../../src/core/json-names.ts'

describe('repeatsName', () => {
  it.each([
    ['{"a":1,"a":2}', true],
    ['{"a":1,"\\u0061":2}', true],
    ['{"a" : 1 , "b":{"c":[{"d":1,"d"\n:2}]}}', true],
    ['[{"a":1},{"a":{"b":1,"a":2},"a":3}]', true],
    ['{"":1,"":2}', true],
    ['{"__proto__":1,"__proto__":2}', true],
    ['{}', false],
    ['{"a":"a","b":"a"}', false],
    ['{"a":{"a":{"a":1}}}', false],
    ['[{"a":1},{"a":1}]', false],
    ['{"a":"\\"a\\":1,\\"a\\":2"}', false],
    ['{"a":"{","b":"}","c":["a","a"]}', false],
    ['{"a\\\\":1,"a":2}', false],
    ['"a"', false],
    ['7', false],
  ])('%s: %s', (text, expected) => {
    JSON.parse(text)
    expect(repeatsName(text)).toBe(expected)
  })
})
