import { expect, it } from 'vitest'
import { BrowserEngine, type BrowserListener, type LoadBrowser } from '../../../page/state/browser-engine.ts'
import type { BrowserClient, BrowserClientOptions, BrowserNotice } from '../../../src/browser/client/index.ts'

type Loaded = Pick<BrowserClient, 'storage' | 'clear' | 'dispose'>

function engineOf(outcomes: readonly (Loaded | Error)[]) {
  const options: BrowserClientOptions[] = []
  const load: LoadBrowser = async (given) => {
    options.push(given)
    const outcome = outcomes[options.length - 1]
    if (outcome === undefined || outcome instanceof Error) throw outcome
    return outcome as BrowserClient
  }
  return { options, engine: new BrowserEngine(load, { url: 'http://worker', key: 'k' }) }
}

const STORED = { kind: 'opfs' as const, usedBytes: 5, quotaBytes: 10, models: [] }

function loaded() {
  const done: string[] = []
  const client: Loaded = {
    storage: async () => STORED,
    clear: async () => void done.push('clear'),
    dispose: () => void done.push('dispose'),
  }
  return { client, done }
}

it('the engine is loaded once, when it is first asked for, and again after a failure', async () => {
  const { client } = loaded()
  const { engine, options } = engineOf([new Error('offline'), client])
  expect(await engine.stored()).toBeUndefined()
  expect(options).toEqual([])
  await expect(engine.client()).rejects.toThrow('offline')
  await engine.client()
  await engine.client()
  expect(options.map(({ key, placement, url }) => [url, key, placement])).toEqual([
    ['http://worker', 'k', 'auto'],
    ['http://worker', 'k', 'auto'],
  ])
  expect(await engine.stored()).toBe(STORED)
})

it('what it tells reaches whoever asked last', async () => {
  const { engine, options } = engineOf([loaded().client])
  const listener = (name: string, told: string[]): BrowserListener => ({
    onProgress: ({ loadedBytes }) => void told.push(`${name} ${loadedBytes}`),
    onNotice: ({ type }) => void told.push(`${name} ${type}`),
  })
  const told: string[] = []
  await engine.client(listener('first', told))
  const progress = { model: 'm', version: '1', loadedBytes: 1, totalBytes: 2 }
  const notice: BrowserNotice = { type: 'damaged', model: 'm' }
  options[0]?.onProgress?.(progress)
  await engine.client(listener('second', told))
  options[0]?.onProgress?.({ ...progress, loadedBytes: 2 })
  options[0]?.onNotice?.(notice)
  expect(told).toEqual(['first 1', 'second 2', 'second damaged'])
})

it('is cleared and ended with its client', async () => {
  const { client, done } = loaded()
  const { engine } = engineOf([client])
  await engine.clear()
  await engine.client()
  await engine.clear()
  engine.dispose()
  await expect.poll(() => done).toEqual(['clear', 'dispose'])
  expect(await engine.stored()).toBeUndefined()
})
