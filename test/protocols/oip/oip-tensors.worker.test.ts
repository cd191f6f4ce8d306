import { describe, expect, it } from 'vitest'
import { type Datatype, ELEMENT_BYTES } from '../../../src/core/tensors.ts'
import { tensorFromBinary, tensorToBinary } from '../../../src/protocols/oip/binary.ts'
import { dataToJson, restoreLongIntegers, tensorFromJson } from '../../../src/protocols/oip/json.ts'
import { codeOf } from '../../fixtures/http.ts'
import { ALL_DATATYPES, nested, randomTensor, SHAPES, seeded } from '../../fixtures/http-tensors.ts'

const MAX = 1000

describe('tensors there and back', () => {
  for (const datatype of ALL_DATATYPES) {
    it(`${datatype} as JSON, flat and nested`, () => {
      const random = seeded(1)
      for (const shape of SHAPES) {
        for (let round = 0; round < 20; round++) {
          const sent = randomTensor(datatype, shape, random, true)
          const flat: unknown = JSON.parse(dataToJson(sent))
          if (!Array.isArray(flat)) throw new Error('not an array')
          expect(tensorFromJson('x', datatype, shape, flat, MAX)).toEqual(withoutMinusZero(sent))
          expect(tensorFromJson('x', datatype, shape, nested(flat, shape), MAX)).toEqual(withoutMinusZero(sent))
        }
      }
    })

    it(`${datatype} as bytes, aligned and not`, () => {
      const random = seeded(2)
      for (const shape of SHAPES) {
        for (let round = 0; round < 20; round++) {
          const sent = randomTensor(datatype, shape, random, false)
          const wire = tensorToBinary(sent)
          for (const offset of [0, 1, 3, 8]) {
            const buffer = new Uint8Array(wire.length + offset)
            buffer.set(wire, offset)
            const bytes = buffer.subarray(offset)
            const received = tensorFromBinary('x', datatype, shape, bytes, MAX)
            expect(received).toEqual(sent)
            if (datatype === 'BYTES' || received.datatype === 'BYTES') continue
            const shared = received.data.buffer === buffer.buffer
            expect(shared).toBe(offset % ELEMENT_BYTES[datatype] === 0)
          }
        }
      }
    })
  }

  /** JSON has one zero. */
  function withoutMinusZero<T>(value: T): T {
    const tensor = structuredClone(value) as { datatype: Datatype; data: unknown }
    if (tensor.data instanceof Float32Array || tensor.data instanceof Float64Array) {
      tensor.data.forEach((element, i, all) => {
        all[i] = element + 0
      })
    }
    if (tensor.datatype === 'FP16' && tensor.data instanceof Uint16Array) {
      tensor.data.forEach((element, i, all) => {
        all[i] = element === 0x8000 ? 0 : element
      })
    }
    return tensor as T
  }
})

describe('JSON', () => {
  it('writes 64-bit integers to the last digit', () => {
    const data = BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 9007199254740993n)
    expect(dataToJson({ datatype: 'INT64', shape: [3], data })).toBe(
      '[-9223372036854775808,9223372036854775807,9007199254740993]',
    )
    expect(dataToJson({ datatype: 'UINT64', shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) })).toBe(
      '[18446744073709551615]',
    )
  })

  it('writes what JSON lacks as null', () => {
    const data = Float32Array.of(Number.NaN, 1.5, Number.POSITIVE_INFINITY)
    expect(dataToJson({ datatype: 'FP32', shape: [3], data })).toBe('[null,1.5,null]')
    expect(dataToJson({ datatype: 'FP16', shape: [2], data: Uint16Array.of(0x7c00, 0x3c00) })).toBe('[null,1]')
  })

  it('takes true, false, 0 and 1 for BOOL', () => {
    expect(tensorFromJson('x', 'BOOL', [4], [true, false, 1, 0], MAX).data).toEqual(Uint8Array.of(1, 0, 1, 0))
  })

  const refused: [Datatype, unknown, RegExp][] = [
    ['UINT8', 256, /0 to 255/],
    ['UINT8', -1, /0 to 255/],
    ['INT8', 128, /-128 to 127/],
    ['UINT16', 65536, /UINT16/],
    ['INT16', -32769, /INT16/],
    ['INT32', 2147483648, /INT32/],
    ['UINT32', -1, /UINT32/],
    ['INT32', 1.5, /whole number/],
    ['INT64', 0.5, /whole number/],
    ['INT64', 2 ** 53, /digit by digit/],
    ['UINT64', 2 ** 60, /digit by digit/],
    ['UINT64', 2 ** 64, /0 to 18446744073709551615/],
    ['INT64', 2n ** 63n, /-9223372036854775808 to 9223372036854775807/],
    ['INT64', -(2n ** 63n) - 1n, /out of the range/],
    ['UINT64', -1n, /out of the range/],
    ['FP64', 1n, /not a number/],
    ['UINT64', -1, /UINT64/],
    ['INT32', Number.NaN, /whole number/],
    ['INT64', Number.NaN, /whole number/],
    ['INT64', '12', /not a number/],
    ['INT32', null, /not a number/],
    ['INT32', true, /not a number/],
    ['FP32', 'NaN', /not a number/],
    ['FP32', null, /not a number/],
    ['FP32', 1e39, /range of FP32/],
    ['FP64', Number.POSITIVE_INFINITY, /range of FP64/],
    ['FP16', 65520, /range of FP16/],
    ['FP16', '1', /not a number/],
    ['BOOL', 2, /true, false/],
    ['BOOL', 'true', /true, false/],
    ['BYTES', 5, /not a string/],
    ['BYTES', 'x'.repeat(MAX + 1), /longer than/],
    ['BYTES', 'é'.repeat(MAX / 2 + 1), /longer than/],
    ['BYTES', { b64: 'eA==' }, /not a string/],
  ]
  it.each(refused)('refuses in %s: %s', (datatype, element, message) => {
    const good = datatype === 'BYTES' ? 'x' : datatype === 'BOOL' ? true : 1
    expect(() => tensorFromJson('x', datatype, [2], [good, element], MAX)).toThrow(message)
    expect(codeOf(() => tensorFromJson('x', datatype, [2], [good, element], MAX))).toBe('invalid_tensor')
  })

  it.each([
    ['too few', [2], [1]],
    ['too many', [2], [1, 2, 3]],
    ['none', [2], undefined],
    ['an object', [2], { 0: 1, 1: 2 }],
    ['a bare number', [], 1],
    ['a row too short', [2, 2], [[1, 2], [3]]],
    [
      'a row too long',
      [2, 2],
      [
        [1, 2],
        [3, 4, 5],
      ],
    ],
    ['a row missing', [2, 2], [[1, 2]]],
    ['a number among rows', [2, 2], [[1, 2], 3]],
    ['a row among numbers', [3], [1, [2], 3]],
    ['nesting deeper than the shape', [2], [[1], [2]]],
    [
      'nesting that is not the shape',
      [4],
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['an array for a scalar in an array', [], [[1]]],
  ] as [string, number[], unknown][])('refuses %s', (_, shape, data) => {
    expect(codeOf(() => tensorFromJson('x', 'FP32', shape, data, MAX))).toBe('invalid_tensor')
  })
})

describe('bytes', () => {
  const read = (datatype: Datatype, shape: number[], bytes: number[]) => () =>
    tensorFromBinary('x', datatype, shape, Uint8Array.from(bytes), MAX)

  it('are little-endian', () => {
    expect(read('INT32', [1], [1, 2, 0, 0])().data).toEqual(Int32Array.of(513))
    expect(read('BYTES', [2], [1, 0, 0, 0, 97, 0, 0, 0, 0])().data).toEqual(['a', ''])
  })

  it.each([
    ['too few', read('FP32', [2], [0, 0, 0, 0])],
    ['too many', read('FP32', [0], [0])],
    ['BOOL of 2', read('BOOL', [1], [2])],
    ['a length cut off', read('BYTES', [1], [1, 0])],
    ['an element cut off', read('BYTES', [1], [5, 0, 0, 0, 97])],
    ['an element too few', read('BYTES', [2], [1, 0, 0, 0, 97])],
    ['bytes left over', read('BYTES', [1], [1, 0, 0, 0, 97, 98])],
    ['an element that is no UTF-8', read('BYTES', [1], [2, 0, 0, 0, 0xff, 0xfe])],
    ['a length of 4 GiB', read('BYTES', [1], [255, 255, 255, 255])],
  ])('refuses %s', (_, work) => {
    expect(codeOf(work)).toBe('invalid_tensor')
  })
})

describe('whole numbers that JSON parsing rounds', () => {
  interface Given {
    readonly datatype: string
    readonly data: unknown
  }
  const restored = (json: string): readonly Given[] => {
    const tensors = JSON.parse(json) as readonly Given[]
    restoreLongIntegers(tensors, json, (parsed) => parsed)
    return tensors
  }

  it('are put back from their digits, flat or nested, in tensors of 64-bit integers alone', () => {
    const data = '[[9007199254740993, 1], [-9223372036854775808, 18446744073709551615]]'
    expect(restored(`[{"datatype": "INT64", "data": ${data}}]`)[0]?.data).toEqual([
      [9007199254740993n, 1],
      [-9223372036854775808n, 18446744073709551615n],
    ])
    for (const datatype of ['FP64', 'BYTES', 'INT32']) {
      expect(restored(`[{"datatype": "${datatype}", "data": ${data}}]`)[0]?.data).toEqual(JSON.parse(data))
    }
  })

  it('are told from fractions, exponents, longer numbers and texts', () => {
    const same = [
      '0.12345678901234567',
      '1e1234567890123456',
      '-1.5e-1234567890123456',
      '9007199254740993.0',
      '9007199254740993e0',
      '123456789012345678901234567890',
      '"9007199254740993"',
      '"a \\" 9007199254740993 \\\\"',
    ]
    const json = `[{"datatype": "INT64", "note \\" 9007199254740993": 1, "data": [${same.join(',')}, 9007199254740993]}]`
    expect(restored(json)[0]?.data).toEqual([...(JSON.parse(`[${same.join(',')}]`) as unknown[]), 9007199254740993n])
  })

  it('are found behind a text of any length, and between many', () => {
    const text = 'x\\n'.repeat(5_000_000)
    const data = restored(`[{"datatype":"INT64","data":["${text}",9007199254740993]}]`)[0]?.data
    expect((data as unknown[])[1]).toBe(9007199254740993n)
    const many = restored(`[{"datatype":"INT64","data":[${'"\\\\",9007199254740993,'.repeat(5_000)}"\\""]}]`)[0]?.data
    expect(many).toEqual([...Array.from({ length: 5_000 }, () => ['\\', 9007199254740993n]).flat(), '"'])
  })

  it('are the ones that a reviver sees', () => {
    const random = seeded(11)
    const digits = (): string =>
      `${random() < 0.5 ? '-' : ''}${1 + Math.floor(random() * 9)}${Array.from({ length: Math.floor(random() * 24) }, () => Math.floor(random() * 10)).join('')}`
    const text = (): string => JSON.stringify(`${digits()}\\"${random() < 0.5 ? '\\' : ','}${digits()}`)
    const number = (): string => {
      const kind = random()
      if (kind < 0.6) return digits()
      return kind < 0.8 ? `${digits()}.${digits().replace('-', '')}` : `${digits()}e${Math.floor(random() * 20)}`
    }
    for (let i = 0; i < 200; i++) {
      const elements = Array.from({ length: 20 }, () => (random() < 0.2 ? text() : number()))
      const json = `[{"datatype":"INT64","data":[${elements.join(random() < 0.5 ? ',' : ' ,\n')}]}]`
      const exact = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
        typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d{16,20}$/.test(context?.source ?? '')
          ? BigInt(context?.source ?? '')
          : value
      const expected = JSON.parse(json, exact) as readonly Given[]
      expect(restored(json)).toEqual(expected)
    }
  })

  it('costs nothing where there are none: the JSON is not looked at', () => {
    const tensors = [{ datatype: 'INT64', data: [1, [2, Number.MAX_SAFE_INTEGER]] }]
    restoreLongIntegers(
      tensors,
      () => {
        throw new Error('it was looked at')
      },
      (parsed) => parsed,
    )
  })
})
