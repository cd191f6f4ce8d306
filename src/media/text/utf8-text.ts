/** Texts up to this many units keep their memory for the next one. */
const KEPT_UNITS = 4_096

/**
 * A text in UTF-8, with the way back: the place of each byte's character in the text. Half of a character is written as
 * if it was a whole one, so that it is equal to nothing that a vocabulary has.
 */
export class Utf8Text {
  bytes = new Uint8Array(0)
  /** The place of the character that each byte belongs to; behind the last byte the text's length. */
  places = new Int32Array(1)
  length = 0

  read(text: string): void {
    const units = text.length
    if (this.bytes.length < 3 * units || this.bytes.length > 3 * KEPT_UNITS) this.#reserve(Math.max(units, 64))
    const { bytes, places } = this
    let length = 0
    for (let at = 0; at < units; at++) {
      const unit = text.charCodeAt(at)
      if (unit < 0x80) {
        places[length] = at
        bytes[length++] = unit
        continue
      }
      const code = unit >= 0xd800 && unit <= 0xdbff ? (text.codePointAt(at) ?? unit) : unit
      const start = length
      if (code < 0x800) bytes[length++] = 0xc0 | (code >> 6)
      else {
        if (code < 0x10000) bytes[length++] = 0xe0 | (code >> 12)
        else {
          bytes[length++] = 0xf0 | (code >> 18)
          bytes[length++] = 0x80 | ((code >> 12) & 0x3f)
        }
        bytes[length++] = 0x80 | ((code >> 6) & 0x3f)
      }
      bytes[length++] = 0x80 | (code & 0x3f)
      for (let i = start; i < length; i++) places[i] = at
      if (code > 0xffff) at++
    }
    places[length] = units
    this.length = length
  }

  #reserve(units: number): void {
    this.bytes = new Uint8Array(3 * units)
    this.places = new Int32Array(3 * units + 1)
  }
}
