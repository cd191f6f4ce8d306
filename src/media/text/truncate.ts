/** Which of two texts is cut where both together are too long. */
export type PairTruncation = 'longest_first' | 'only_first' | 'only_second'

/**
 * How many tokens of two texts are kept, `room` together. `longest_first` cuts the longer text down to the shorter one
 * and then both evenly, as Hugging Face's Rust library does; the others cut one text, and the other one only where the
 * first is used up.
 */
export function cutPair(first: number, second: number, room: number, cut: PairTruncation): readonly [number, number] {
  if (first + second <= room) return [first, second]
  if (cut === 'only_first') return [Math.max(0, room - second), Math.min(second, room)]
  if (cut === 'only_second') return [Math.min(first, room), Math.max(0, room - first)]
  const shorter = Math.min(first, second)
  let [short, long] = [shorter, Math.max(shorter, room - shorter)]
  if (short + long > room) {
    short = Math.floor(room / 2)
    long = room - short
  }
  return first > second ? [long, short] : [short, long]
}
