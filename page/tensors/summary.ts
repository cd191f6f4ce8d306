import type { Tensor } from '../../src/client/page.ts'
import { halfValue } from './half.ts'

export interface TensorSummary {
  readonly name: string
  readonly datatype: string
  readonly shape: string
  /** The first elements, as text. */
  readonly first: readonly string[]
  /** Elements that are not shown. */
  readonly more: number
  /** Of numbers alone. */
  readonly range: { readonly least: number; readonly most: number; readonly mean: number } | undefined
}

const SHOWN = 24

/** What a person wants to know of a tensor. */
export function summarize(name: string, { data, datatype, shape }: Tensor): TensorSummary {
  const first = Array.from({ length: Math.min(SHOWN, data.length) }, (_, i) => elementText(datatype, data[i]))
  const more = data.length - first.length
  return { name, datatype, shape: `[${shape.join(', ')}]`, first, more, range: rangeOf(datatype, data) }
}

function elementText(datatype: string, element: unknown): string {
  if (datatype === 'BYTES') return JSON.stringify(element)
  if (datatype === 'BOOL') return element === 0 ? 'false' : 'true'
  if (datatype === 'FP16') return numberText(halfValue(Number(element)))
  return typeof element === 'bigint' ? String(element) : numberText(Number(element))
}

/** Enough digits to tell numbers apart, and no more. */
export function numberText(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)))
}

function rangeOf(datatype: string, data: Tensor['data']): TensorSummary['range'] {
  if (datatype === 'BYTES' || datatype === 'BOOL' || data.length === 0) return undefined
  let [least, most, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]
  for (const element of data) {
    const value = datatype === 'FP16' ? halfValue(Number(element)) : Number(element)
    if (Number.isNaN(value)) return undefined
    least = Math.min(least, value)
    most = Math.max(most, value)
    sum += value
  }
  return { least, most, mean: sum / data.length }
}
