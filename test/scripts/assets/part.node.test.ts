import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AssetsPart, buildPart } from '../../../scripts/assets/part.ts'

let root: string
let assets: string
let builds = 0

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'verge-assets-'))
  assets = join(root, 'out/assets')
  builds = 0
  await mkdir(join(root, 'sources/deep'), { recursive: true })
  await writeFile(join(root, 'sources/deep/a.txt'), 'one')
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** Writes a file whose name has the content of its source. */
const part = (name: string, atRoot = `${name}.html`): AssetsPart => ({
  name,
  sources: ['sources'],
  atRoot: [atRoot],
  async build(folder) {
    builds++
    const text = await readFile(join(root, 'sources/deep/a.txt'), 'utf8')
    await mkdir(join(folder, 'assets', name), { recursive: true })
    await writeFile(join(folder, 'assets', name, `${text}.js`), text)
    await writeFile(join(folder, atRoot), text)
  },
})

const files = async () =>
  (await readdir(assets, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort()

describe('a part of the assets', () => {
  it('is built once of the same sources, and again when one changes, without what it was', async () => {
    expect(await buildPart(part('page'), root, assets)).toBe(true)
    expect(await buildPart(part('page'), root, assets)).toBe(false)
    expect(await files()).toEqual(['one.js', 'page.html'])
    await writeFile(join(root, 'sources/deep/a.txt'), 'two')
    expect(await buildPart(part('page'), root, assets)).toBe(true)
    expect(await files()).toEqual(['page.html', 'two.js'])
    expect(await readFile(join(assets, 'page.html'), 'utf8')).toBe('two')
    expect(builds).toBe(2)
  })

  it('is built again where a file of it is missing, or a source is renamed', async () => {
    await buildPart(part('page'), root, assets)
    await rm(join(assets, 'page.html'))
    expect(await buildPart(part('page'), root, assets)).toBe(true)
    await writeFile(join(root, 'sources/b.txt'), '')
    expect(await buildPart(part('page'), root, assets)).toBe(true)
    expect(await buildPart(part('page'), root, assets)).toBe(false)
  })

  it('leaves other parts alone, and nothing beside the served files', async () => {
    await buildPart(part('page'), root, assets)
    await buildPart(part('browser'), root, assets)
    expect(await files()).toEqual(['browser.html', 'one.js', 'one.js', 'page.html'])
    expect((await readdir(join(root, 'out'))).sort()).toEqual(['assets', 'assets-sources'])
  })

  it('counts as not built where its build failed', async () => {
    await buildPart(part('page'), root, assets)
    await writeFile(join(root, 'sources/deep/a.txt'), 'two')
    const failing = { ...part('page'), build: () => Promise.reject(new Error('no')) }
    await expect(buildPart(failing, root, assets)).rejects.toThrow('no')
    expect(await files()).toEqual(['one.js', 'page.html'])
    expect(await buildPart(part('page'), root, assets)).toBe(true)
    expect(await files()).toEqual(['page.html', 'two.js'])
  })

  it('removes what a build left behind that was killed, and not what another process is at', async () => {
    const hoursAgo = new Date(Date.now() - 3 * 3_600_000)
    for (const name of ['assets-making-killed', 'assets-making-running', 'assets-others']) {
      await mkdir(join(root, 'out', name, 'deep'), { recursive: true })
      if (!name.endsWith('running')) await utimes(join(root, 'out', name), hoursAgo, hoursAgo)
    }
    await buildPart(part('page'), root, assets)
    expect((await readdir(join(root, 'out'))).sort()).toEqual([
      'assets',
      'assets-making-running',
      'assets-others',
      'assets-sources',
    ])
  })

  it('is whole after two processes built it at once', async () => {
    await Promise.all([buildPart(part('page'), root, assets), buildPart(part('page'), root, assets)])
    expect(await files()).toEqual(['one.js', 'page.html'])
    expect(await buildPart(part('page'), root, assets)).toBe(false)
  })
})
