import { beforeEach, describe, expect, it } from 'vitest'
import { checkPages } from '../../../src/cli/doctor/pages.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { blobKey } from '../../../src/weights/blob.ts'
import type { Store } from '../../../src/weights/store.ts'
import { pattern, text } from '../../contract/store.ts'
import { type MemoryTarget, memoryTarget, packedOf } from '../../fixtures/node/packed.ts'

/** Twenty pages of 300 bytes in chunks of 1,000. */
const packed = packedOf('m', pattern(500, 1), { pages: pattern(6_000, 2) })
const file = packed.manifest.artifacts[0]?.pages
const keyAt = (place: number) => `page/${file?.sha256}/${place * 300}/300`

let target: MemoryTarget
let copy: Store

beforeEach(async () => {
  target = memoryTarget()
  ;[copy] = target.copies as [Store]
  await pushModel(target, packed, { live: true })
  await pushModel(target, packedOf('plain', pattern(100, 9)), { live: true })
})

async function check(near: Store | undefined = copy) {
  const checks = await checkPages(target.truth, near)
  expect(checks).toHaveLength(1)
  return checks[0]
}

describe('checkPages', () => {
  it('says that both stores have the pages, or the one that can be looked at', async () => {
    expect(await check()).toEqual({
      area: 'pages m',
      status: 'ok',
      finding: 'version 1, edge-fp32: R2 has all 20 pages; 8 of them are the same in KV',
    })
    expect(await checkPages(target.truth, undefined)).toMatchObject([
      { status: 'ok', finding: expect.stringMatching(/R2 has all 20 pages$/) },
    ])
  })

  it('warns of pages that KV lacks or has otherwise, and says where there are no copies', async () => {
    await copy.delete(keyAt(0))
    expect(await check()).toMatchObject({
      status: 'warn',
      finding: expect.stringMatching(/KV lacks 1 of 8$/),
      fix: expect.stringMatching(/Push this version again/),
    })
    await copy.put(keyAt(0), text(Buffer.from(pattern(300, 77)).toString('base64')))
    expect(await check()).toMatchObject({
      status: 'warn',
      finding: expect.stringMatching(/1 of 8 pages are different in KV and R2$/),
    })
    // the same bytes, but not in the text that requests take
    await copy.put(keyAt(0), text(`${Buffer.from(pattern(6_000, 2).subarray(0, 300)).toString('base64')}\n`))
    expect(await check()).toMatchObject({
      status: 'warn',
      finding: expect.stringMatching(/1 of 8 pages are different in KV and R2$/),
    })
    for (let place = 0; place < 20; place++) await copy.delete(keyAt(place))
    expect(await check()).toMatchObject({
      status: 'ok',
      finding: expect.stringMatching(/KV has no copies, so that cold texts wait/),
    })
  })

  it('fails where the bucket lacks a part of the file, or has it shorter', async () => {
    const [first, second] = file?.chunks ?? []
    await target.truth.delete(blobKey(first?.sha256 ?? ''))
    expect(await check()).toMatchObject({
      status: 'fail',
      finding: expect.stringMatching(/R2 lacks 1 of 6 chunks of 20 pages$/),
    })
    await target.truth.put(blobKey(second?.sha256 ?? ''), pattern(999))
    expect(await check()).toMatchObject({ status: 'fail', finding: expect.stringMatching(/R2 lacks 2 of 6 chunks/) })
    await pushModel(target, packed, { live: true })
    expect(await check()).toMatchObject({ status: 'ok' })
  })
})
