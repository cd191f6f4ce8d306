import { describe, expect, it } from 'vitest'
import { depthIn, segmentMapIn, shownSize } from '../../../page/media/picture-maps.ts'

const PNG = 'iVBORw0KGgo='
const sky = { id: 0, label: 'sky', pixels: 5, color: '#80a0ff' }
const tree = { id: 3, label: 'tree', score: 0.5, pixels: 9, color: '#008000' }

describe('answers of picture maps', () => {
  it('are read with the largest segment first', async () => {
    const found = segmentMapIn({ map: PNG, segments: [sky, tree] })
    expect(found?.segments.map(({ label, score }) => [label, score])).toEqual([
      ['tree', 0.5],
      ['sky', undefined],
    ])
    expect([found?.map.type, found?.map.size]).toEqual(['image/png', 8])
    expect(await depthIn({ depth: PNG, minimum: 0, maximum: 2 })?.depth.bytes()).toEqual(
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    )
  })

  it.each([
    undefined,
    [{ label: 'sky', mask: PNG }],
    { map: 'javascript:alert(1)', segments: [] },
    { map: PNG, segments: [{ ...sky, color: 'red; background: url(//x)' }] },
    { map: PNG, segments: [{ ...sky, pixels: Number.NaN }] },
    { map: PNG, segments: {} },
  ])('are left to JSON where they are something else: %j', (output) => {
    expect(segmentMapIn(output)).toBeUndefined()
    expect(depthIn(output)).toBeUndefined()
  })

  it('are asked for in the size of the picture, or in what a screen shows of it', () => {
    expect(shownSize({ width: 640, height: 480 })).toEqual({})
    const { width, height } = shownSize({ width: 6000, height: 4000 }).target_size ?? { width: 0, height: 0 }
    expect(width * height).toBeLessThanOrEqual(1_001_000)
    expect(width / height).toBeCloseTo(1.5, 2)
    expect(shownSize({ width: 60_000, height: 100 }).target_size?.height).toBeGreaterThan(0)
  })
})
