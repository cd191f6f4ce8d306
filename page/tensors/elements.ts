import type { TensorInput } from '../../src/client/page.ts'
import { halfBits } from './half.ts'

/** A problem is a sentence for the person who types. */
export type Parsed<Value> = { readonly value: Value } | { readonly problem: string }

type Typed = Parsed<Pick<TensorInput, 'data' | 'datatype'>>

/** Texts are one a line; numbers are separated by commas, spaces, lines or brackets. */
export function elementsIn(text: string, datatype: string): string[] {
  if (datatype === 'BYTES') return text.split('\n')
  return text.split(/[\s,;[\]]+/).filter((part) => part !== '')
}

export function zeroElement(datatype: string): string {
  if (datatype === 'BYTES') return ''
  return datatype === 'BOOL' ? 'false' : '0'
}

/** Elements that differ from each other. Whole numbers stay small, because they are often ids. */
export function sampleElement(datatype: string, i: number): string {
  if (datatype === 'BYTES') return `text ${i + 1}`
  if (datatype === 'BOOL') return String(i % 2 === 0)
  if (datatype.startsWith('FP')) return String((i % 10) / 10)
  return String((i % 4) + 1)
}

const WHOLE = {
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
} as const

const WIDE = { INT64: BigInt64Array, UINT64: BigUint64Array } as const

/** Elements as the client takes them. */
export function typedArray(datatype: string, elements: readonly string[]): Typed {
  if (datatype === 'BYTES') return { value: { data: elements } }
  if (datatype === 'BOOL') return booleans(elements)
  if (datatype === 'FP16' || datatype === 'FP32' || datatype === 'FP64') return floats(datatype, elements)
  if (Object.hasOwn(WHOLE, datatype)) return whole(datatype as keyof typeof WHOLE, elements)
  if (Object.hasOwn(WIDE, datatype)) return wide(datatype as keyof typeof WIDE, elements)
  return { problem: `The page cannot write tensors of ${datatype}. Use the API.` }
}

function booleans(elements: readonly string[]): Typed {
  const wrong = elements.find((element) => !/^(true|false|0|1)$/i.test(element))
  if (wrong !== undefined) return { problem: `"${wrong.slice(0, 40)}" is not true or false.` }
  const data = Uint8Array.from(elements, (element) => (/^(true|1)$/i.test(element) ? 1 : 0))
  return { value: { data, datatype: 'BOOL' } }
}

function floats(datatype: 'FP16' | 'FP32' | 'FP64', elements: readonly string[]): Typed {
  const numbers = elements.map(Number)
  const wrong = elements[numbers.findIndex(Number.isNaN)]
  if (wrong !== undefined) return { problem: `"${wrong.slice(0, 40)}" is not a number.` }
  if (datatype === 'FP16') return { value: { data: Uint16Array.from(numbers, halfBits), datatype } }
  return { value: { data: datatype === 'FP64' ? Float64Array.from(numbers) : Float32Array.from(numbers) } }
}

function whole(datatype: keyof typeof WHOLE, elements: readonly string[]): Typed {
  const wrong = notWhole(elements)
  if (wrong !== undefined) return wrong
  const data = new WHOLE[datatype](elements.length)
  for (const [i, element] of elements.entries()) data[i] = Number(element)
  const tooLarge = elements.find((element, i) => data[i] !== Number(element))
  return tooLarge === undefined ? { value: { data } } : { problem: `${tooLarge} does not fit into ${datatype}.` }
}

function wide(datatype: keyof typeof WIDE, elements: readonly string[]): Typed {
  const wrong = notWhole(elements)
  if (wrong !== undefined) return wrong
  const values = elements.map((element) => BigInt(element.replace('+', '')))
  const data = datatype === 'INT64' ? BigInt64Array.from(values) : BigUint64Array.from(values)
  const tooLarge = elements[values.findIndex((value, i) => data[i] !== value)]
  return tooLarge === undefined ? { value: { data } } : { problem: `${tooLarge} does not fit into ${datatype}.` }
}

function notWhole(elements: readonly string[]): { readonly problem: string } | undefined {
  const wrong = elements.find((element) => !/^[-+]?\d{1,20}$/.test(element))
  return wrong === undefined ? undefined : { problem: `"${wrong.slice(0, 40)}" is not a whole number.` }
}
