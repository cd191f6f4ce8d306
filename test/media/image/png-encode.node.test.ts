import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { encodePng } from '../../../src/media/image/png-encode.ts'

const IHDR = 16

describe('the PNG encoder', () => {
  it.each([
    ['grey', 1, 0],
    ['RGB', 3, 2],
  ] as const)('writes rows of %s that are differences to the row above', async (_, channels, colour) => {
    const data = Uint8Array.from({ length: 6 * channels }, (_, index) => index * 40)
    const png = Buffer.from(await encodePng({ width: 3, height: 2, channels, data }))
    expect(png.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n')
    expect([png.readUInt32BE(IHDR), png.readUInt32BE(IHDR + 4), png[24], png[25]]).toEqual([3, 2, 8, colour])
    const at = png.indexOf('IDAT')
    const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
    const stride = 3 * channels
    expect([...rows.subarray(0, stride + 1)]).toEqual([0, ...data.subarray(0, stride)])
    expect([...rows.subarray(stride + 1)]).toEqual([2, ...new Array<number>(stride).fill((stride * 40) % 256)])
    // The checksum of an empty IEND is the same in every PNG.
    expect(png.subarray(-12).toString('hex')).toBe('0000000049454e44ae426082')
  })

  it('writes a picture of many pieces as one of one piece', async () => {
    const [width, height] = [700, 1_000]
    const data = Uint8Array.from({ length: width * height }, (_, i) => (i * i) >> 3)
    const png = Buffer.from(await encodePng({ width, height, channels: 1, data }))
    const at = png.indexOf('IDAT')
    const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
    expect(rows).toHaveLength((width + 1) * height)
    const [above, wrong] = [new Uint8Array(width), []] as [Uint8Array, number[]]
    for (let y = 0; y < height; y++) {
      const row = rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1))
      for (let x = 0; x < width; x++) above[x] = (above[x] ?? 0) + (row[x] ?? 0)
      if (!above.every((level, x) => level === data[y * width + x])) wrong.push(y)
    }
    expect(wrong).toEqual([])
  })
})
