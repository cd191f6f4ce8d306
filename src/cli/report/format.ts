import { safeName } from '../../onnx/errors.ts'
import type { LayerResult } from '../../quantize/types.ts'

/** Bytes for people, in units of 1000. */
export function decimalSize(count: number): string {
  if (count < 1000) return `${count} B`
  const unit = count < 999_500 ? ['kB', 1e3] : count < 999_500_000 ? ['MB', 1e6] : ['GB', 1e9]
  const [name, size] = unit as [string, number]
  const value = count / size
  return `${value.toFixed(value < 9.95 ? 2 : 1)} ${name}`
}

/** A share of 1 as a percentage. */
export function percent(share: number, digits = 1): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(digits)} %` : '-'
}

export function milliseconds(value: number | null): string {
  if (value === null) return 'too short to tell'
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`
}

export function decibelsText(value: number | null): string {
  if (value === null || value === Number.POSITIVE_INFINITY) return 'exact'
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : '-'
}

/** A number that may be very small. */
export function significant(value: number | null): string {
  if (value === null) return '-'
  if (value === 0) return '0'
  return Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toPrecision(3)
}

/** Near 1 the digits that count are the last. */
export function cosineText(value: number | null): string {
  return value === null ? '-' : value.toFixed(6)
}

/** Where a layer's name is long, its end says more than its beginning. */
export function shortened(name: string, width: number): string {
  const text = safeName(name)
  return text.length <= width ? text : `…${text.slice(text.length - width + 1)}`
}

/** Layers, those that lost most first; what lost nothing last. */
export function worstFirst(layers: readonly LayerResult[]): LayerResult[] {
  const loss = ({ sqnrDb }: LayerResult): number => sqnrDb ?? Number.POSITIVE_INFINITY
  return [...layers].sort((left, right) => (loss(left) === loss(right) ? 0 : loss(left) - loss(right)))
}

/** How many of a thing, by name, most first: `32 to int8, 2 to fp16`. */
export function tally(names: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].sort((left, right) => right[1] - left[1])
}
