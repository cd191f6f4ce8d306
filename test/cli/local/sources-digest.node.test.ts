import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { sourcesDigest } from '../../../src/cli/local/sources-digest.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-digest-'))
  await mkdir(join(folder, 'source/engine'), { recursive: true })
  await write('source/engine/plain.wasm', 'kernel')
  await write('source/a.ts', 'a')
  await write('package.json', '{}')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const write = (path: string, content: string): Promise<void> => writeFile(join(folder, path), content)

const digest = (wanted?: (name: string) => boolean): Promise<string> =>
  sourcesDigest(wanted, join(folder, 'source'), [join(folder, 'package.json')])

it.each(['source/engine/plain.wasm', 'source/a.ts', 'source/new.json', 'package.json'])(
  'changes with the content of %s, and with nothing else',
  async (path) => {
    const before = await digest()
    expect(before).toMatch(/^[0-9a-f]{64}$/)
    expect(await digest()).toBe(before)
    await write(path, 'changed')
    expect(await digest()).not.toBe(before)
  },
)

it('changes where a file is called otherwise', async () => {
  const before = await digest()
  await rm(join(folder, 'source/a.ts'))
  await write('source/b.ts', 'a')
  expect(await digest()).not.toBe(before)
})

it('does not depend on files that are not wanted', async () => {
  const ofScripts = () => digest((name) => !name.startsWith('engine/'))
  const before = await ofScripts()
  await write('source/engine/plain.wasm', 'changed')
  expect(await ofScripts()).toBe(before)
})

it("is Verge's own where nothing else is said", async () => {
  expect(await sourcesDigest()).not.toBe(await sourcesDigest((name) => name !== 'worker.ts'))
})
