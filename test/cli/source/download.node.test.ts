import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openModelSource } from '../../../src/cli/source/source.ts'
import { matmulModel } from '../../../synthetic/onnx-models.ts'
import { HUB_TOKEN, type HubStandIn, type Reply, repositoryOf, startHub } from '../../fixtures/node/hub-stand-in.ts'
import { messageOf, type TestSource, testSource } from '../../fixtures/node/source-options.ts'

/** 3 MiB, so that a download comes in pieces and a break in the middle leaves something. */
const MODEL = Buffer.from(matmulModel(3 << 20))

let hub: HubStandIn
let source: TestSource

beforeEach(async () => {
  hub = await startHub()
  source = await testSource({ HF_ENDPOINT: hub.endpoint })
  hub.repositories.set('org/name', repositoryOf({ 'model.onnx': MODEL, 'config.json': '{"architectures":["X"]}' }))
})
afterEach(async () => {
  await hub.close()
  await source.remove()
})

const open = (options: Partial<TestSource['options']> = {}) =>
  openModelSource('hf:org/name', { ...source.options, ...options })
const downloads = (): string[] =>
  hub.seen.filter(({ host }) => host === 'cdn').map(({ headers }) => headers.range ?? 'all')

/** Replaces the store's answers, one after the other; after them it answers as usual. */
function storeAnswers(...changes: ((usual: Reply) => Reply | 'hang-up' | 'silence')[]): void {
  hub.fault = ({ host }, usual) => (host === 'cdn' ? changes.shift()?.(usual) : undefined)
}

/** Compares as bytes: an assertion on megabytes looks at every one by itself. */
const holds = async (path: string, bytes: Buffer): Promise<boolean> => bytes.equals(await readFile(path))
const failure = (work: Promise<unknown>): Promise<string> => messageOf(work, HUB_TOKEN, 'X-Amz-Signature')

describe('a download', () => {
  it('goes on where the connection broke', async () => {
    storeAnswers(
      (usual) => ({ ...usual, breakAfter: 1 << 20 }),
      (usual) => ({ ...usual, breakAfter: 1000 }),
    )
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    const [first, second, third] = downloads()
    expect(first).toBe('all')
    const from = [second, third].map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]))
    // What the system has not handed over when a connection is reset is lost.
    expect(from[0]).toBeGreaterThan(0)
    expect(from[0]).toBeLessThanOrEqual(1 << 20)
    expect(from[1]).toBeGreaterThanOrEqual(from[0] ?? 0)
    const [told, again] = source.told.filter(({ label }) => label === 'model.onnx')
    expect(again).toBeUndefined()
    expect(told?.figures).toEqual([...(told?.figures ?? [])].sort((a, b) => a - b))
    expect(told?.figures.at(-1)).toBe(MODEL.length)
  })

  it('goes on after an interruption', async () => {
    const controller = new AbortController()
    storeAnswers((usual) => ({ ...usual, stallAfter: 1 << 20 }))
    const progress = {
      task: () => ({ set: (bytes: number) => void (bytes >= 1 << 20 && controller.abort()), done() {} }),
    }
    await expect(open({ signal: controller.signal, progress })).rejects.toMatchObject({ code: 'cancelled' })
    hub.seen.length = 0
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(downloads()).toEqual([`bytes=${1 << 20}-`])
  })

  it('goes on after its process was killed', async () => {
    storeAnswers((usual) => ({ ...usual, stallAfter: 1 << 20 }))
    const module = pathToFileURL(join(import.meta.dirname, '../../../src/cli/source/source.ts')).href
    const { cacheDir, env } = source.options
    const script = `import { openModelSource } from ${JSON.stringify(module)}
      await openModelSource('hf:org/name', ${JSON.stringify({ cacheDir, env })})`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
    const exited = once(child, 'exit')
    const sizes = async (): Promise<number[]> => {
      const names = await readdir(cacheDir, { recursive: true })
      return Promise.all(
        names.filter((name) => name.endsWith('.part')).map(async (name) => (await stat(join(cacheDir, name))).size),
      )
    }
    await expect.poll(sizes, { timeout: 30_000 }).toEqual([1 << 20])
    child.kill('SIGKILL')
    await exited
    hub.seen.length = 0
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(downloads()).toEqual([`bytes=${1 << 20}-`])
    expect((await readdir(cacheDir, { recursive: true })).filter((name) => name.includes('.part'))).toEqual([])
  })

  it('is tried again after faults, with pauses that double or that the server asks for', async () => {
    storeAnswers(
      () => ({ status: 503 }),
      () => ({ status: 429, headers: { 'retry-after': '7' } }),
      () => 'hang-up',
      () => ({ status: 500 }),
    )
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(source.pauses).toEqual([500, 7000, 2000, 4000])
  })

  it('is given up after five faults in a row, or where the pause asked for is long', async () => {
    hub.fault = ({ host }) => (host === 'cdn' ? { status: 502 } : undefined)
    expect(await failure(open())).toMatch(/the server failed \(HTTP 502\) \(5 attempts\)/)
    expect(downloads()).toHaveLength(5)
    hub.fault = () => ({ status: 429, headers: { 'retry-after': '3600' } })
    expect(await failure(open())).toMatch(/fewer requests \(1 attempt, requested a pause of 3600 s\)/)
  })

  it('is given up where each attempt begins anew and comes no further', async () => {
    hub.fault = ({ host }, usual) =>
      host === 'cdn' ? { ...usual, status: 200, body: MODEL, breakAfter: 2 << 20 } : undefined
    // The first brings what none had brought, and is not counted.
    expect(await failure(open())).toMatch(/\(5 attempts\)/)
    expect(downloads().length).toBeLessThanOrEqual(8)
  })

  it('is tried again where nothing comes, or too little', async () => {
    const patience = { ...source.options.patience, idleMs: 300 }
    storeAnswers(
      () => 'silence',
      (usual) => ({ ...usual, stallAfter: 200_000 }),
    )
    expect(await holds((await open({ patience })).modelFile, MODEL)).toBe(true)
    expect(downloads().slice(0, 3)).toEqual(['all', 'all', 'bytes=200000-'])
    hub.fault = () => 'silence'
    expect(await failure(open({ patience }))).toMatch(/nothing came for 0.3 s/)
  })

  it('is waited for where it is slow and alive', async () => {
    storeAnswers((usual) => ({ ...usual, slowMs: 15 }))
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(downloads()).toEqual(['all'])
  })

  it('is completed where an answer ends early though it looks whole', async () => {
    storeAnswers((usual) => ({ ...usual, endAfter: 2_000_000 }))
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(downloads()).toEqual(['all', 'bytes=2000000-'])
  })

  it('starts again where a server does not go on', async () => {
    storeAnswers(
      (usual) => ({ ...usual, endAfter: 2_000_000 }),
      () => ({ status: 200, headers: { etag: '"x"' }, body: MODEL }),
    )
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(downloads()).toHaveLength(2)
  })

  it('is made once more where its bytes are wrong, and then reported', async () => {
    const wrong = Buffer.from(MODEL)
    wrong.writeUInt8((wrong.readUInt8(77_777) + 1) % 256, 77_777)
    storeAnswers((usual) => ({ ...usual, body: wrong }))
    expect(await holds((await open()).modelFile, MODEL)).toBe(true)
    expect(downloads()).toEqual(['all', 'all'])
    await source.remove()
    hub.seen.length = 0
    hub.fault = ({ host }, usual) => (host === 'cdn' ? { ...usual, body: wrong } : undefined)
    expect(await failure(open())).toMatch(/had a wrong checksum twice/)
    expect(downloads()).toEqual(['all', 'all'])
  })

  it('of a small file is checked as git names it', async () => {
    hub.fault = ({ path }, usual) =>
      path.endsWith('config.json') ? { ...usual, body: '{"architectures":["Z"]}' } : undefined
    expect(await failure(open())).toMatch(/config.json: .*wrong checksum .*git-sha1/)
  })

  it('never takes more than was announced', async () => {
    storeAnswers((usual) => ({ ...usual, endless: true }))
    expect(await failure(open())).toMatch(/longer than allowed or declared/)
    hub.fault = ({ host }, usual) => (host === 'cdn' ? { ...usual, body: Buffer.concat([MODEL, MODEL]) } : undefined)
    expect(await failure(open())).toMatch(/offers \d+ bytes of a file of \d+/)
  })

  it('follows five redirects and no more, and none into the clear or to another scheme', async () => {
    hub.fault = ({ host, path }) =>
      host === 'cdn' ? { status: 307, headers: { location: `${hub.cdn}/loop?n=${path.length}` } } : undefined
    expect(await failure(open())).toMatch(/redirects more than 5 times/)
    for (const [location, message] of [
      ['http://store.example.com/x', /Plain http can be modified in transit/],
      ['file:///etc/passwd', /Only https and http/],
      ['', /without a location/],
    ] as const) {
      hub.fault = ({ host }) => (host === 'cdn' ? { status: 302, headers: location ? { location } : {} } : undefined)
      expect(await failure(open())).toMatch(message)
    }
  })

  it('made twice at once ends well for both', async () => {
    hub.fault = ({ host }, usual) => (host === 'cdn' ? { ...usual, slowMs: 5 } : undefined)
    const [one, two] = await Promise.all([open(), open()])
    expect(one.modelFile).toBe(two.modelFile)
    expect(await holds(one.modelFile, MODEL)).toBe(true)
    const blobs = await readdir(join(source.options.cacheDir, 'hub'), { recursive: true })
    expect(blobs.filter((name) => /part|\.new$/.test(name))).toEqual([])
  })
})
