import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { fromBase64 } from '../fixtures/base64.ts'
import { MEDIA_MODELS } from '../fixtures/media-models.ts'
import { documentedJson, nth, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { pngSamples } from '../fixtures/png-samples.ts'

const page = readPage('picture-maps')
const [hues = '', masks = '', map = '', cutter = '', distance = '', depth = ''] = page.blocks('json')
const [askMasks = '', askMap = '', askCutOut = '', askDepth = ''] = page.commands

const modelOf = (name: string) =>
  nth(
    MEDIA_MODELS.filter((model) => model.name === name),
    0,
  ).model

/** Red, and a quarter of it blue: the parts that the page's map counts. */
async function scene(): Promise<Uint8Array> {
  const [width, height] = [120, 80]
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < width * height; i++) data[3 * i + (i % width < 90 ? 0 : 2)] = i < 120 * 40 ? 240 : 0
  for (let i = 0; i < width * height; i++) if (i >= 120 * 40 && i % width >= 90) data[3 * i + 2] = 1
  return encodePng({ width, height, channels: 3, data })
}

describe('picture-maps.md', () => {
  let docs: DocsWorker

  beforeAll(async () => {
    docs = await startDocsWorker()
    writeFileSync(join(docs.folder, 'scene.png'), await scene())
    await docs.publish(hues, modelOf('hues'), { name: 'hues' })
    await docs.publish(cutter, modelOf('bright-parts'), { name: 'cutter' })
    await docs.publish(distance, modelOf('bright-near'), { name: 'distance' })
  })
  afterAll(() => docs?.dispose())

  /** Labels and fields; a picture that the page cuts short is only its beginning. */
  const printed = (block: string) => documentedJson(block)
  const beginning = (text: string) => text.replace(/\.\.\.$/, '')

  it('answers masks as it prints', async () => {
    const answer = (await docs.ask(askMasks)) as { label: string; mask: string }[]
    const expected = printed(masks) as { label: string; mask: string }[]
    expect(answer.map(({ label }) => label)).toEqual(expected.map(({ label }) => label))
    for (const [i, { mask }] of answer.entries()) {
      expect(mask.startsWith(beginning(expected[i]?.mask ?? 'none'))).toBe(true)
      expect(Object.keys(answer[i] ?? {})).toEqual(Object.keys(expected[i] ?? {}))
    }
  })

  it('answers a map as it prints', async () => {
    const answer = (await docs.ask(askMap)) as { map: string; segments: unknown }
    const expected = printed(map) as { map: string; segments: unknown }
    expect(answer.map.startsWith(beginning(expected.map))).toBe(true)
    expect(answer.segments).toEqual(expected.segments)
  })

  it('answers a cut-out and a depth as it prints', async () => {
    await docs.shell(askCutOut)
    const cutOut = await pngSamples(new Uint8Array(readFileSync(join(docs.folder, 'cut-out.png'))))
    expect([cutOut.width, cutOut.height, cutOut.colour]).toEqual([120, 80, 6])
    const answer = (await docs.ask(askDepth)) as Record<string, number | string>
    const expected = printed(depth) as Record<string, number | string>
    expect(Object.keys(answer)).toEqual(Object.keys(expected))
    expect([answer.width, answer.height]).toEqual([expected.width, expected.height])
    expect(answer.maximum).toBeCloseTo(Number(expected.maximum), 4)
    expect((await pngSamples(fromBase64(String(answer.depth)))).depth).toBe(8)
  })
})
