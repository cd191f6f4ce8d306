import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { releaseCommand } from '../../src/cli/commands/release.ts'
import { rmCommand } from '../../src/cli/commands/rm.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type Local, startLocal } from '../../src/cli/local/local.ts'
import { type ModelProbe, probeFor } from '../../src/cli/local/probe.ts'
import type { PackedModel } from '../../src/cli/pack/packer.ts'
import { type PushResult, pushModel } from '../../src/cli/push/push.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { pattern } from '../contract/store.ts'
import { packedOf } from '../fixtures/node/packed.ts'

const DIGITS = join(ROOT, 'models/digits')
/** An isolate trusts an alias for a while; the rest is for a loaded machine. */
const PATIENCE_MS = LIMITS.aliasTtlMs + 20_000

let folder: string
let local: Local
let probe: ModelProbe
let first: PackedModel
let second: PackedModel

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-live-'))
  const silent = (): void => {}
  local = await startLocal({
    port: await freePort(),
    persistTo: join(folder, 'state'),
    folders: [DIGITS],
    progress: silent,
    log: silent,
  })
  const [digits] = local.models
  if (digits === undefined) throw new Error('digits has not answered')
  const { packed } = digits
  probe = (await probeFor(packed.manifest, DIGITS)) as ModelProbe
  // the same network under another name, and a second version that says its answers in words of its own
  const labels = packed.manifest.labels?.map((label) => `digit ${label}`) ?? []
  first = { ...packed, manifest: { ...packed.manifest, model: 'mine', version: '1' } }
  second = { ...packed, manifest: { ...packed.manifest, model: 'mine', version: '2', labels } }
})
afterAll(async () => {
  await local?.server.stop()
  await rm(folder, { recursive: true, force: true })
})

async function push(packed: PackedModel, live = true): Promise<PushResult> {
  const target = await openTarget({ local: join(folder, 'state') })
  try {
    return await pushModel(target, packed, { live, visibility: 'public' })
  } finally {
    await target.dispose()
  }
}

/** The best label, or the status of a refusal. */
async function ask(model: string): Promise<string | number> {
  const answer = await fetch(`${local.server.url}/run/${model}`, {
    method: 'POST',
    headers: { 'content-type': probe.contentType },
    body: probe.body,
  })
  const body: unknown = await answer.json()
  return answer.ok ? ((body as { label: string }[])[0]?.label ?? '') : answer.status
}

async function until(model: string, expected: string | number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  let last: string | number = ''
  while (Date.now() < deadline) {
    last = await ask(model)
    if (last === expected) return
    await sleep(250)
  }
  throw new Error(`"${model}" still answers ${last}, not ${expected}`)
}

const command = (run: { run(args: readonly string[]): Promise<string | undefined> }, ...args: string[]) =>
  run.run([...args, '--persist-to', join(folder, 'state')])

describe('a Worker that runs', () => {
  it('answers from what is pushed, released, rolled back and removed, without a restart', async () => {
    const label = String(await ask('digits'))
    expect(label).toMatch(/^\d$/)
    expect(await ask('mine')).toBe(404)

    // its weights are there already, under the name of digits
    expect(await push(first)).toMatchObject({ sent: 0, generation: 1 })
    await until('mine', label)
    expect(await push(second, false)).toMatchObject({ sent: 0, generation: 2, live: [{ version: '1' }] })
    expect(await ask('mine')).toBe(label)
    await command(releaseCommand, 'mine', '2')
    await until('mine', `digit ${label}`)
    await command(releaseCommand, 'mine', '--rollback')
    await until('mine', label)

    // nothing of what digits needs goes with it
    expect(JSON.parse((await command(rmCommand, 'mine', '--yes', '--json')) ?? '')).toMatchObject({
      versions: ['1', '2'],
      result: { chunks: 0, harmed: [] },
    })
    await until('mine', 404)
    expect(await ask('digits')).toBe(label)
  })

  it('goes on answering while megabytes are pushed beside it', async () => {
    const label = await ask('digits')
    let pushing = true
    const large = packedOf('large', pattern(40 * 1024 * 1024), { chunkBytes: LIMITS.chunkBytes })
    const pushed = push(large).finally(() => {
      pushing = false
    })
    const answers = new Set<string | number>()
    let asked = 0
    while (pushing) {
      answers.add(await ask('digits'))
      asked++
    }
    expect(await pushed).toMatchObject({ sent: 10 })
    expect([...answers]).toEqual([label])
    expect(asked).toBeGreaterThan(1)
    expect(await push(large)).toMatchObject({ sent: 0, written: 0 })
    await command(rmCommand, 'large', '--yes')
  })
})
