import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { refuseManyItems, validate } from '../../src/core/validation.ts'
import { sortInputs } from '../../src/rpc/inputs.ts'
import { testApp, testModel } from '../fixtures/http.ts'

const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'fine'
  } catch (error) {
    return isVergeError(error) ? error.code : String(error)
  }
}

describe('what a schema looks at', () => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  it.each([
    ['a text', 'abcdef', 'fine'],
    ['nothing', undefined, 'fine'],
    ['as many as may be', { a: [1, 2], b: 'c' }, 'fine'],
    ['one too many in a list', { a: [1, 2, 3], b: 'c' }, 'input_too_large'],
    ['too many in lists together', [[1], [2, 3]], 'input_too_large'],
    ['too many members', { a: 1, b: 2, c: 3, d: 4, e: 5 }, 'input_too_large'],
    ['elements of a tensor', { shape: [3], data: [1, 2, 3, 4, 5, 6] }, 'fine'],
    ['a typed array', { a: new Float32Array(100) }, 'fine'],
    ['a list in itself', cycle, 'input_too_large'],
    ['a list with more holes than memory', new Array(2 ** 32 - 1), 'input_too_large'],
  ])('is bounded: %s', (_, value, code) => {
    expect(codeOf(() => refuseManyItems(value, 4))).toBe(code)
  })

  it('is not told back at length', () => {
    const unknown = { ['k'.repeat(100_000)]: 1 }
    try {
      validate(z.strictObject({}), unknown, 'The request')
    } catch (error) {
      expect(String(error).length).toBeLessThan(1_000)
      return
    }
    throw new Error('it was taken')
  })

  it('is bounded for tensors too, whose elements are not counted', async () => {
    const signature = [{ name: 'x', datatype: 'FP32' as const, shape: ['n'] }]
    const app = testApp({ models: [testModel('identity', 'public', { inputs: signature, outputs: signature })] })
    const many = await app.post('/v2/models/identity/infer', { inputs: new Array(LIMITS.requestItems).fill(null) })
    expect(many.status).toBe(413)
    expect(await many.json()).toMatchObject({ code: 'input_too_large', error: expect.any(String) })
  })
})

describe('what is wrong with a value', () => {
  const inputs = z.union([z.string(), z.array(z.string()).min(1), z.object({ text: z.string() })])
  const request = z.strictObject({
    inputs,
    seed: z.union([z.number().int(), z.null()]).optional(),
    n: z.union([z.literal(1), z.null()], { error: 'one answer is given' }).optional(),
    mode: z.union([z.literal('a'), z.literal('b')]).optional(),
    nested: z.union([z.array(z.union([z.number(), z.string()])), z.null()]).optional(),
  })
  const told = (value: unknown): string => {
    try {
      validate(request, value, 'The request')
    } catch (error) {
      return isVergeError(error) ? `${error.message} ${String(error.details?.field)}` : String(error)
    }
    return 'fine'
  }

  it.each([
    [
      { inputs: 5 },
      'The request, field "inputs": a number was sent, but a string, a list or an object is needed. inputs',
    ],
    [{}, 'The request, field "inputs": nothing was sent, but a string, a list or an object is needed. inputs'],
    [{ inputs: ['a', 5] }, 'The request, field "inputs[1]": a number was sent, but a string is needed. inputs[1]'],
    [
      { inputs: { text: null } },
      'The request, field "inputs.text": null was sent, but a string is needed. inputs.text',
    ],
    [
      { inputs: { words: 'a' } },
      'The request, field "inputs.text": nothing was sent, but a string is needed. inputs.text',
    ],
    [{ inputs: 'a', seed: 'x' }, 'The request, field "seed": a string was sent, but a number or null is needed. seed'],
    [
      { inputs: 'a', seed: 1.5 },
      'The request, field "seed": a number was sent, but an integer or null is needed. seed',
    ],
    [{ inputs: 'a', n: 2 }, 'The request, field "n": one answer is given. n'],
    [{ inputs: 'a', mode: 'c' }, 'The request, field "mode": a string was sent, but "a" or "b" is needed. mode'],
    [
      { inputs: 'a', nested: [1, 'b', true] },
      'The request, field "nested[2]": true was sent, but a number or a string is needed. nested[2]',
    ],
    [{ inputs: 'a', sed: 1 }, 'The request: there is no field "sed"; use inputs, seed, n, mode, nested. undefined'],
    ['text', 'The request: a string was sent, but an object is needed. undefined'],
  ])('is said with what was there and what is wanted: %j', (value, message) => {
    expect(told(value)).toBe(message)
  })

  it('is said in the words of what came nearest, where its kind is right', () => {
    expect(told({ inputs: [] })).toMatch(/field "inputs": .*>=1 items/)
  })
})

describe('inputs from another Worker', () => {
  const sorted = (inputs: unknown): string => codeOf(() => sortInputs(inputs as never, LIMITS))

  it('are not walked through where they are a list of holes', () => {
    expect(sorted(new Array(2 ** 32 - 1))).toBe('body_too_large')
    expect(sorted([1, 'two'])).toBe('fine')
  })

  it('are refused where they hold themselves, as soon as the walk comes back', () => {
    for (const members of [0, 1000, 2000]) {
      let walks = 0
      const list: unknown[] = new Array(members).fill('text')
      list.push({ deeper: [list] })
      const iterator = list[Symbol.iterator].bind(list)
      list[Symbol.iterator] = () => {
        walks++
        return iterator()
      }
      expect(sorted(list)).toBe('invalid_request')
      expect(walks).toBe(1)
    }
    const record: Record<string, unknown> = {}
    record.self = { again: record }
    expect(sorted(record)).toBe('invalid_request')
    expect(sorted({ tensors: record })).toBe('invalid_request')
  })

  it('may share what they hold, which counts as often as it is read', () => {
    const row = [1, 2, 3]
    expect(sorted([row, row, { row }])).toBe('fine')
    // 2 to the 40th lists, in 40.
    let shared: unknown = []
    for (let depth = 0; depth < 40; depth++) shared = [shared, shared]
    expect(sorted(shared)).toBe('input_too_large')
  })

  it('are refused where they are nested deeper than a validator can follow', () => {
    let deep: unknown = 1
    for (let depth = 0; depth < 50; depth++) deep = [deep]
    expect(sorted(deep)).toBe('fine')
    for (let depth = 0; depth < 50_000; depth++) deep = [deep]
    expect(sorted(deep)).toBe('invalid_request')
  })
})
