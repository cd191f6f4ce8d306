import { describe, expect, it } from 'vitest'
import { spawnWorker, type WorkerScope } from '../../../src/browser/client/spawn.ts'
import type { WorkerLike } from '../../../src/browser/client/worker-link.ts'

const SCRIPT = 'https://verge.test/assets/browser/worker-1.js'

function scopeOf(origin: string, refuse?: Error): { readonly scope: WorkerScope; readonly started: string[] } {
  const started: string[] = []
  class Worker implements WorkerLike {
    onmessage = null
    onerror = null
    onmessageerror = null
    constructor(url: string) {
      if (refuse !== undefined) throw refuse
      started.push(url)
    }
    postMessage(): void {}
    terminate(): void {}
  }
  return { scope: { Worker, origin, scriptAddress: (text) => `blob:${text}` }, started }
}

describe('spawnWorker', () => {
  it('starts a script of the same origin as it is, and one of another by a line that imports it', () => {
    const same = scopeOf('https://verge.test')
    spawnWorker(SCRIPT, same.scope)
    expect(same.started).toEqual([SCRIPT])
    const other = scopeOf('https://shop.test')
    spawnWorker(SCRIPT, other.scope)
    expect(other.started).toEqual([`blob:import "${SCRIPT}"`])
  })

  it('says what a policy has to allow', () => {
    const { scope } = scopeOf('https://shop.test', new Error('refused by a policy'))
    expect(() => spawnWorker(SCRIPT, scope)).toThrow(/worker-src blob: https:\/\/verge\.test/)
    expect(() => spawnWorker(SCRIPT, { ...scope, Worker: undefined })).toThrow(/no web workers/)
  })
})
