import { mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { writeWhole } from '../../../src/cli/files/whole-file.ts'
import { localEnvironment } from '../../../src/cli/local/local-environment.ts'
import { readEnvironment, saveNamespaceId } from '../../../src/cloudflare/wrangler-config.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-whole-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** What somebody finds who has opened a file before it was written, and reads it while it is. */
async function readThrough(path: string, write: () => Promise<unknown>): Promise<string> {
  const before = await open(path)
  try {
    await write()
    return await before.readFile('utf8')
  } finally {
    await before.close()
  }
}

it('replaces a file, and never empties the one that somebody reads', async () => {
  const path = join(folder, 'deep/file.toml')
  await writeWhole(path, 'old')
  expect(await readThrough(path, () => writeWhole(path, 'new'))).toBe('old')
  expect(await readFile(path, 'utf8')).toBe('new')
  expect(await readdir(join(folder, 'deep'))).toEqual(['file.toml'])
})

it('keeps a link and a mode, and lets nobody read a secret meanwhile', async () => {
  const path = join(folder, 'file')
  await writeFile(path, 'old', { mode: 0o640 })
  await symlink('file', join(folder, 'link'))
  await writeWhole(join(folder, 'link'), 'new')
  expect(await readFile(path, 'utf8')).toBe('new')
  expect((await stat(path)).mode & 0o777).toBe(0o640)
  await writeWhole(join(folder, 'secret'), 'x', { mode: 0o600 })
  expect((await stat(join(folder, 'secret'))).mode & 0o777).toBe(0o600)
})

it('leaves no draft and the old file where it fails', async () => {
  const path = join(folder, 'file')
  await writeFile(path, 'old')
  await expect(writeWhole(join(path, 'below'), 'x')).rejects.toThrow()
  expect(await readdir(folder)).toEqual(['file'])
})

it("writes wrangler.toml and an origin's variables like that, which a running Worker watches", async () => {
  const path = join(folder, 'wrangler.toml')
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  await writeFile(path, toml)
  const id = 'c'.repeat(32)
  expect(await readThrough(path, () => saveNamespaceId(path, 'production', id))).toBe(toml)
  expect((await readEnvironment(path, 'production')).namespaceId).toBe(id)
  const port = 60_000 + (process.pid % 5_000)
  const [file = ''] = await localEnvironment(port, { origin: 'http://127.0.0.1:9', traces: 'http://127.0.0.1:4318' })
  const variables = await readFile(file, 'utf8')
  expect(await readThrough(file, () => localEnvironment(port, { origin: 'http://127.0.0.1:10' }))).toBe(variables)
  expect(variables).toContain("OTLP_ENDPOINT='http://127.0.0.1:4318'\nTRACE_SAMPLE_RATE='1'\n")
  await expect(localEnvironment(port, { traces: 'http://otlp.example.com' })).rejects.toThrow('--traces must be')
  await rm(file)
})
