import { afterRestartMarker, damaged, incomplete } from './entropy.ts'
import { ZIGZAG } from './frame.ts'

/**
 * Arithmetic-coded blocks of a sequential JPEG (ITU T.81, Annex D and F.2.4). A statistics area holds one byte for each
 * decision: the index of its probability estimate in the lower seven bits, the more probable symbol in the highest.
 */

const DC_AREA = 64
const AC_AREA = 256
/** Where the decisions about a magnitude's size begin, and how far behind each are those about its bits (F.1.4.4). */
const DC_SIZES = 20
const AC_SIZES_LOW = 189
const AC_SIZES_HIGH = 217
const TO_BITS = 14
/** A magnitude has fifteen bits at most. */
const TOO_LARGE = 0x8000

export class ArithmeticReader {
  readonly #data: Uint8Array
  readonly #conditioning: { readonly dc: Uint8Array; readonly ac: Uint8Array }
  #at: number
  #code = 0
  #interval = 0
  #shift = -16
  readonly #dc = [0, 1, 2, 3].map(() => new Uint8Array(DC_AREA))
  readonly #ac = [0, 1, 2, 3].map(() => new Uint8Array(AC_AREA))
  /** Signs of AC coefficients are as likely as not, always. */
  readonly #even = new Uint8Array(1)
  readonly #contexts = new Uint8Array(4)
  /** Decisions taken: what the work is priced by, because a short file may ask for any number of them. */
  decisions = 0

  constructor(data: Uint8Array, at: number, conditioning: { readonly dc: Uint8Array; readonly ac: Uint8Array }) {
    this.#data = data
    this.#at = at
    this.#conditioning = conditioning
    this.#even[0] = EVEN
  }

  /** Where the next marker may be looked for. */
  get position(): number {
    return this.#at
  }

  /**
   * Reads a block's coefficients.
   * @param index of the component in the scan
   * @param before the DC coefficient of the block before it
   * @returns the DC coefficient, before it was cut to the block's sixteen bits
   */
  block(index: number, dcTable: number, acTable: number, before: number, block: Int16Array): number {
    const dc = before + this.#difference(index, dcTable)
    block[0] = dc
    this.#coefficients(acTable, block)
    return dc
  }

  #difference(index: number, table: number): number {
    const area = this.#dc[table]
    const context = this.#contexts[index] ?? 0
    if (area === undefined) throw damaged()
    if (this.#bit(area, context) === 0) {
      this.#contexts[index] = 0
      return 0
    }
    const negative = this.#bit(area, context + 1)
    let at = context + 2 + negative
    let magnitude = this.#bit(area, at)
    if (magnitude !== 0) {
      at = DC_SIZES
      for (; this.#bit(area, at) === 1; at++) {
        magnitude <<= 1
        if (magnitude === TOO_LARGE) throw damaged()
      }
    }
    const bounds = this.#conditioning.dc[table] ?? 0
    // How large this difference is says what to expect of the next one (F.1.4.4.1.2).
    if (magnitude < (1 << (bounds & 15)) >> 1) this.#contexts[index] = 0
    else this.#contexts[index] = (magnitude > (1 << (bounds >> 4)) >> 1 ? 12 : 4) + 4 * negative
    const value = this.#bits(area, at + TO_BITS, magnitude) + 1
    return negative === 1 ? -value : value
  }

  #coefficients(table: number, block: Int16Array): void {
    const area = this.#ac[table]
    const low = this.#conditioning.ac[table] ?? 0
    if (area === undefined) throw damaged()
    for (let k = 1; k < 64; k++) {
      let at = 3 * (k - 1)
      // Whether the block ends here.
      if (this.#bit(area, at) === 1) return
      for (; this.#bit(area, at + 1) === 0; at += 3) if (++k > 63) throw damaged()
      const negative = this.#bit(this.#even, 0)
      at += 2
      let magnitude = this.#bit(area, at)
      if (magnitude !== 0 && this.#bit(area, at) === 1) {
        magnitude <<= 1
        at = k <= low ? AC_SIZES_LOW : AC_SIZES_HIGH
        for (; this.#bit(area, at) === 1; at++) {
          magnitude <<= 1
          if (magnitude === TOO_LARGE) throw damaged()
        }
      }
      const value = this.#bits(area, at + TO_BITS, magnitude) + 1
      block[ZIGZAG[k] ?? 0] = negative === 1 ? -value : value
    }
  }

  /** The bits of a magnitude below its highest, all by one decision's statistics. */
  #bits(area: Uint8Array, at: number, highest: number): number {
    let value = highest
    for (let bit = highest >> 1; bit > 0; bit >>= 1) if (this.#bit(area, at) === 1) value |= bit
    return value
  }

  /** One decision (D.2.4 to D.2.6). */
  #bit(area: Uint8Array, at: number): number {
    this.decisions++
    while (this.#interval < 0x8000) this.#renormalize()
    const state = area[at] ?? 0
    const estimate = state & 0x7f
    const likely = state >> 7
    const less = LESS_PROBABLE[estimate] ?? 0
    this.#interval -= less
    const bound = this.#interval << this.#shift
    if (this.#code < bound) {
      if (this.#interval >= 0x8000) return likely
      // The smaller part may have become the larger one; then they change their meanings.
      return this.#interval < less
        ? this.#unlikely(area, at, estimate, likely)
        : this.#likely(area, at, estimate, likely)
    }
    this.#code -= bound
    const exchanged = this.#interval < less
    this.#interval = less
    return exchanged ? this.#likely(area, at, estimate, likely) : this.#unlikely(area, at, estimate, likely)
  }

  #likely(area: Uint8Array, at: number, estimate: number, likely: number): number {
    area[at] = (likely << 7) | (AFTER_LIKELY[estimate] ?? 0)
    return likely
  }

  #unlikely(area: Uint8Array, at: number, estimate: number, likely: number): number {
    const next = SWITCHES.has(estimate) ? 1 - likely : likely
    area[at] = (next << 7) | (AFTER_UNLIKELY[estimate] ?? 0)
    return 1 - likely
  }

  #renormalize(): void {
    if (--this.#shift < 0) {
      this.#code = this.#code * 256 + this.#byte()
      this.#shift += 8
      // Two bytes fill the register before the first decision.
      if (this.#shift < 0 && ++this.#shift === 0) this.#interval = 0x8000
    }
    this.#interval *= 2
  }

  /** A byte of data. At a marker there are zeros: an encoder leaves them off. */
  #byte(): number {
    const data = this.#data
    if (this.#at >= data.length) throw incomplete()
    const byte = data[this.#at] ?? 0
    if (byte !== 0xff) {
      this.#at++
      return byte
    }
    let after = this.#at + 1
    while (data[after] === 0xff) after++
    if (after >= data.length) throw incomplete()
    if (data[after] !== 0) return 0
    this.#at = after + 1
    return 0xff
  }

  /** Steps over a restart marker; everything that was learnt is forgotten. */
  restart(): void {
    this.#at = afterRestartMarker(this.#data, this.#at)
    this.#code = 0
    this.#interval = 0
    this.#shift = -16
    for (const area of [...this.#dc, ...this.#ac, this.#contexts]) area.fill(0)
  }
}

/** An estimate of one half that never changes; the others are those of Table D.3. */
const EVEN = 113

/** By estimate: the less probable symbol's part of the interval, in 16 bits each. */
const PARTS =
  '5a1d25861114080b03d801da00e5006f0036001a000d0006000300015a7f3f252cf2207c17b911820cef09a1072f055c04060303024001b1' +
  '014400f500b7008a0068004e003b002c5ae1484c3a0d2ef1261f1f3319a8151811770e740bfb09f80861070605cd04de040f036302d4025c' +
  '01f801a40160012500f600cb00ab008f5b124d04412c37d82fe8293c23791edf1aa9174e1424119c0f6b0d510bb60a4058324d1c438e3bdd' +
  '34ee2eae299a251655704ca944d93e22382432b42e1756a84f4647e541cf3c3d375e52314c0f4639415e562750e74b855597504f5a105522' +
  '59eb'

/** By estimate: the next one after the less probable symbol, and after the more probable one. */
const NEXT_UNLIKELY =
  '010e10121417191c1e2123090a0c0f242627282a2b2d2e303133343638393b3c3e3f20212540414344454648494a4b4d4e4f303232333435' +
  '363738393a3b3d3d41505152535456575748484a4a4b4d4d5058595a5b5c5d56585f606163635d5f6566676863696a6b67696c6d6e6f6e70' +
  '70'
const NEXT_LIKELY =
  '0102030405060708090a0b0c0d0d0f101112131415161718191a1b1c1d1e1f202122230925262728292a2b2c2d2e2f303132333435363738' +
  '393a3b3c3d3e3f204142434445464748494a4b4c4d4e4f305152535455565747595a5b5c5d5e5660616263645d666768636a6b676d6b6f6d' +
  '6f'

/** Estimates after whose less probable symbol the two change their roles. */
const SWITCHES: ReadonlySet<number> = new Set([0, 14, 36, 64, 80, 88, 95, 105, 110, 112])

/** Of the less probable symbol its part of the interval, then the estimates after it and after the other one. */
const LESS_PROBABLE = Uint16Array.from([...parsed(PARTS, 4), 0x5a1d])
const AFTER_UNLIKELY = Uint8Array.from([...parsed(NEXT_UNLIKELY, 2), EVEN])
const AFTER_LIKELY = Uint8Array.from([...parsed(NEXT_LIKELY, 2), EVEN])

function parsed(hex: string, digits: number): number[] {
  return Array.from({ length: hex.length / digits }, (_, i) =>
    Number.parseInt(hex.slice(digits * i, digits * (i + 1)), 16),
  )
}
