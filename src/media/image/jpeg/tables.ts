import { damaged, type HuffmanTable, huffmanTable } from './entropy.ts'
import { ZIGZAG } from './frame.ts'
import { u16 } from './header.ts'

/** The tables that a JPEG's segments define between its scans. */
export class Tables {
  readonly quantization: (Uint16Array | undefined)[] = []
  readonly #codes = { dc: [] as (Code | undefined)[], ac: [] as (Code | undefined)[] }
  /** Arithmetic coding's conditioning (T.81, F.1.4.4.1.4): by kind and number, as it is written. */
  readonly conditioning = { dc: new Uint8Array(4).fill(0x10), ac: new Uint8Array(4).fill(5) }

  /** A DHT segment. Tables are made when a scan uses them: a file may hold any number that none does. */
  readHuffman(content: Uint8Array): void {
    for (let at = 0; at < content.length; ) {
      const kind = content[at] ?? 0
      const counts = content.subarray(at + 1, at + 17)
      let total = 0
      for (let i = 0; i < counts.length; i++) total += counts[i] ?? 0
      if (counts.length < 16 || total > 256 || at + 17 + total > content.length) throw damaged()
      if ((kind & 15) > 3) throw damaged()
      const symbols = content.subarray(at + 17, at + 17 + total)
      this.#codes[kind >> 4 === 0 ? 'dc' : 'ac'][kind & 15] = { counts, symbols, table: undefined }
      at += 17 + total
    }
  }

  /** A DQT segment. */
  readQuantization(content: Uint8Array): void {
    for (let at = 0; at < content.length; ) {
      const kind = content[at++] ?? 0
      const wide = kind >> 4 === 1
      const size = wide ? 128 : 64
      if ((kind & 15) > 3 || at + size > content.length) throw damaged()
      const table = new Uint16Array(64)
      for (let k = 0; k < 64; k++) table[ZIGZAG[k] ?? 0] = wide ? u16(content, at + 2 * k) : (content[at + k] ?? 0)
      this.quantization[kind & 15] = table
      at += size
    }
  }

  /** A DAC segment. */
  readConditioning(content: Uint8Array): void {
    for (let at = 0; at + 1 < content.length; at += 2) {
      const kind = content[at] ?? 0
      const value = content[at + 1] ?? 0
      if ((kind & 15) > 3) throw damaged()
      if (kind >> 4 === 0 && (value & 15) > value >> 4) throw damaged()
      this.conditioning[kind >> 4 === 0 ? 'dc' : 'ac'][kind & 15] = value
    }
  }

  /** @param usual whether the standard's own table takes the place of one that is not there */
  huffman(kind: 'dc' | 'ac', number: number, usual: boolean): HuffmanTable | undefined {
    const code = this.#codes[kind][number] ?? (usual ? usualCode(kind, number) : undefined)
    if (code === undefined) return undefined
    code.table ??= huffmanTable(code.counts, code.symbols)
    return code.table
  }
}

interface Code {
  /** Codes of each length from 1 to 16. */
  readonly counts: Uint8Array
  readonly symbols: Uint8Array
  table: HuffmanTable | undefined
}

/**
 * The tables of T.81's Annex K, luminance as 0 and chrominance as 1. Cameras that write Motion JPEG leave them out, and
 * every reader knows them.
 */
function usualCode(kind: 'dc' | 'ac', number: number): Code | undefined {
  const [counts, symbols] = USUAL[kind][number] ?? []
  if (counts === undefined || symbols === undefined) return undefined
  return { counts: bytesOf(counts), symbols: bytesOf(symbols), table: undefined }
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
}

/** Tables K.3 and K.4, then K.5 and K.6: how many codes of each length there are, and the symbols in their order. */
const USUAL: Readonly<Record<'dc' | 'ac', readonly (readonly [string, string])[]>> = {
  dc: [
    ['00010501010101010100000000000000', '000102030405060708090a0b'],
    ['00030101010101010101010000000000', '000102030405060708090a0b'],
  ],
  ac: [
    [
      '0002010303020403050504040000017d',
      '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738' +
        '393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4' +
        'a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
    ],
    [
      '00020102040403040705040400010277',
      '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a353637' +
        '38393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2' +
        'a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa',
    ],
  ],
}
