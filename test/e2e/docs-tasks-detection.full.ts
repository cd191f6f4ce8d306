import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FAMILY_NAMES, familyNamed } from '../../src/cli/describe/families/index.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { lights } from '../fixtures/media-models.ts'
import { documentedJson, expectLike, nth, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'

const page = readPage('detection')
const [settings = '', answer = ''] = page.blocks('json')

/** Grey, with a spot of each colour where the page says that it is. */
function spots(): Promise<Uint8Array> {
  const data = new Uint8Array(400 * 200 * 3).fill(120)
  for (const [channel, x, y] of [
    [0, 60, 40],
    [1, 200, 150],
    [2, 340, 60],
  ] as const) {
    for (let row = y - 9; row < y + 9; row++) {
      for (let column = x - 9; column < x + 9; column++) {
        const at = (row * 400 + column) * 3
        data.set([40, 40, 40], at)
        data[at + channel] = 255
      }
    }
  }
  return encodePng({ width: 400, height: 200, channels: 3, data })
}

describe('detection.md', () => {
  let docs: DocsWorker

  beforeAll(async () => {
    docs = await startDocsWorker()
    writeFileSync(join(docs.folder, 'photo.png'), await spots())
    await docs.publish(settings, lights.model, { name: 'colour-points' })
  }, 300_000)
  afterAll(() => docs?.dispose())

  it('answers what it prints', async () => {
    const commands = page.commands.filter((command) => command.includes('/run/colour-points'))
    expect(commands).toHaveLength(2)
    for (const command of commands) {
      const found = await docs.ask(command)
      expectLike(found, documentedJson(answer))
      const [pose] = found as { keypoints: { x: number; y: number; name: string }[] }[]
      for (const [i, [x, y]] of [
        [60, 40],
        [200, 150],
        [340, 60],
      ].entries()) {
        const point = nth(pose?.keypoints ?? [], i)
        expect(Math.hypot(point.x - (x ?? 0), point.y - (y ?? 0)), point.name).toBeLessThan(16)
      }
    }
  })

  it('lists each preset of detectors and poses', () => {
    const own = FAMILY_NAMES.filter((name) =>
      ['object-detection', 'keypoint-detection'].includes(familyNamed(name)?.task ?? ''),
    )
    expect(own.length).toBeGreaterThan(20)
    for (const name of own) expect(page.text, name).toContain(`\`${name}\``)
  })
})
