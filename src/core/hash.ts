/**
 * A number in [0, 1) that stands for texts: the same for the same texts, in every isolate, and spread evenly over different
 * ones. Bryc's cyrb53 (public domain). It hides nothing and resists nobody who looks for equal numbers.
 */
export function unitHash(...texts: readonly string[]): number {
  let [high, low] = [0xdeadbeef, 0x41c6ce57]
  for (const text of texts) {
    for (let at = 0; at <= text.length; at++) {
      // A code unit is below 65536, so an end looks like none of them.
      const unit = at < text.length ? text.charCodeAt(at) : END
      high = Math.imul(high ^ unit, 2654435761)
      low = Math.imul(low ^ unit, 1597334677)
    }
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return (2 ** 32 * (2097151 & low) + (high >>> 0)) / 2 ** 53
}

const END = 0x10000
