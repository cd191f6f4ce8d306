/** Times on a timeline and in words. Pure. */

export interface Segment {
  readonly start: number
  readonly end: number
  readonly score: number
}

/** Part of a sound, in percent of its length. */
export function placeSpan(
  { start, end }: Pick<Segment, 'start' | 'end'>,
  duration: number,
): { readonly left: number; readonly width: number } {
  if (duration <= 0) return { left: 0, width: 0 }
  const left = within((100 * start) / duration)
  return { left, width: Math.max(0, within((100 * end) / duration) - left) }
}

/** `0:03.2`, `1:05.0` */
export function clockTime(seconds: number): string {
  const tenths = Math.max(0, Math.round(seconds * 10))
  const minutes = Math.floor(tenths / 600)
  const rest = (tenths % 600) / 10
  return `${minutes}:${rest.toFixed(1).padStart(4, '0')}`
}

/** `0:03`, where tenths say nothing. */
export function clockSeconds(seconds: number): string {
  return clockTime(seconds).replace(/\.0$/, '')
}

/** `3.2 seconds`, `1 minute 5 seconds` */
export function spokenTime(seconds: number): string {
  const tenths = Math.round(seconds * 10)
  if (tenths < 600) return tenths === 10 ? '1 second' : `${tenths / 10} seconds`
  const whole = Math.round(seconds)
  const minutes = Math.floor(whole / 60)
  const rest = whole % 60
  return `${minutes} ${minutes === 1 ? 'minute' : 'minutes'}${rest === 0 ? '' : ` ${spokenTime(rest)}`}`
}

/** Distances between marks that people can add up. */
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120]

/** Where a timeline has marks: at most `most` of them, at round times. */
export function marks(duration: number, most: number): readonly number[] {
  const step = STEPS.find((one) => duration / one <= most) ?? 300
  return Array.from({ length: Math.floor(duration / step) + 1 }, (_, i) => Math.round(i * step * 10) / 10)
}

/** Seconds of speech, and which part of a sound they are. */
export function speechTotal(segments: readonly Segment[], duration: number): { seconds: number; share: number } {
  const seconds = segments.reduce((sum, { start, end }) => sum + Math.max(0, end - start), 0)
  return { seconds, share: duration > 0 ? Math.min(1, seconds / duration) : 0 }
}

/** The segment at a time, by its index; -1 between segments. */
export function segmentAt(segments: readonly Segment[], time: number): number {
  return segments.findIndex(({ start, end }) => time >= start && time < end)
}

function within(percent: number): number {
  return Math.min(100, Math.max(0, percent))
}
