import { expect, it } from 'vitest'
import { DownloadSpeed } from '../../../src/browser/client/download-speed.ts'

it('DownloadSpeed begins anew with a web worker that counts from zero, and with a clock that was set back', () => {
  let now = 0
  const speed = new DownloadSpeed(() => now)
  const add = (ms: number, bytes: number): void => {
    now += ms
    speed.add(bytes)
  }
  add(0, 0)
  add(500, 1_000_000)
  expect(speed.bytesPerSecond).toBe(2_000_000)
  add(300, 1_000)
  expect(speed.bytesPerSecond).toBeUndefined()
  add(300, 301_000)
  expect(speed.bytesPerSecond).toBe(1_000_000)
  add(-5_000, 400_000)
  expect(speed.bytesPerSecond).toBeUndefined()
})
