import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { writeApp } from '../../../src/cli/init/write-app.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'
import { readEnvironment } from '../../../src/cloudflare/wrangler-config.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'verge-init-'))
})
afterEach(() => rm(parent, { recursive: true, force: true }))

const write = (name: string, options: Partial<Parameters<typeof writeApp>[0]> = {}) =>
  writeApp({
    folder: join(parent, name),
    force: false,
    from: ROOT,
    spec: async (version) => `file:../verge-${version}.tgz`,
    dryRun: false,
    ...options,
  })

const textOf = (path: string): Promise<string> => readFile(join(parent, path), 'utf8')

describe('an application', () => {
  it('has the files that it needs, and the model is the one that ships', async () => {
    const app = await write('My App')
    expect(app).toMatchObject({ name: 'my-app', replaced: [] })
    expect((await readdir(join(parent, 'My App'))).sort()).toEqual(
      [
        '.dev.vars.example',
        '.gitignore',
        '.npmrc',
        'models',
        'package.json',
        'src',
        'tsconfig.json',
        'wrangler.toml',
      ].sort(),
    )
    const inModel = (await readdir(join(ROOT, 'models/digits'), { recursive: true })).filter((name) =>
      name.includes('.'),
    )
    expect(app.files.filter((path) => path.startsWith('models/')).sort()).toEqual(
      inModel.map((name) => `models/digits/${name}`).sort(),
    )
    expect(await readFile(join(parent, 'My App/models/digits/model.onnx'))).toEqual(
      await readFile(join(ROOT, 'models/digits/model.onnx')),
    )
  })

  it('names the documents where the package has them', async () => {
    await write('documents')
    for (const file of ['.dev.vars.example', 'wrangler.toml']) {
      const paths = (await textOf(`documents/${file}`)).match(/[\w./-]*docs\/[\w/-]+\.md/g) ?? []
      expect(paths.length, file).toBeGreaterThan(0)
      for (const path of paths) expect(path, file).toMatch(/^node_modules\/verge\/docs\//)
    }
  })

  it('installs what this release is tested with', async () => {
    await write('app')
    const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      readonly version: string
      readonly devDependencies: Readonly<Record<string, string>>
      readonly allowScripts: unknown
    }
    expect(JSON.parse(await textOf('app/package.json'))).toEqual({
      name: 'app',
      private: true,
      type: 'module',
      scripts: { start: 'verge start', deploy: 'wrangler deploy --env production' },
      allowScripts: own.allowScripts,
      dependencies: { verge: `file:../verge-${own.version}.tgz` },
      devDependencies: { node: own.devDependencies.node, wrangler: own.devDependencies.wrangler },
    })
  })

  it.each([undefined, 'staging', 'production'])(
    'has the bindings of the repository in %s, by its own names',
    async (env) => {
      await write('shop')
      const own = await readEnvironment(join(ROOT, 'wrangler.toml'), env)
      const made = await readEnvironment(join(parent, 'shop/wrangler.toml'), env)
      const renamed = (text: string | undefined) => text?.replace(/^verge/, 'shop')
      expect(made).toEqual({ ...own, worker: renamed(own.worker), bucket: renamed(own.bucket) })
      expect(made.bucket).not.toBe(own.bucket)
    },
  )

  it('names its own entry, and documents by where they lie in it', async () => {
    await write('app')
    const toml = await textOf('app/wrangler.toml')
    const main = /^main = "(.*)"$/m.exec(toml)?.[1] ?? ''
    expect(await textOf(`app/${main}`)).toContain("export * from 'verge/worker'")
    const pages = [...toml.matchAll(/\S*docs\/[\w/.-]+\.md/g)].map(([page]) => page)
    expect(pages.length).toBeGreaterThan(2)
    expect(toml).not.toContain('npm run')
    for (const page of pages) {
      expect(page).toMatch(/^node_modules\/verge\/docs\//)
      await readFile(join(ROOT, page.replace('node_modules/verge/', '')))
    }
  })
})

describe('the page of an application', () => {
  it('is the one in the package, and nothing builds it', async () => {
    await write('app')
    const toml = await textOf('app/wrangler.toml')
    expect(toml).toMatch(/^\[assets\]\ndirectory = "node_modules\/verge\/dist\/assets"\nbinding = "ASSETS"$/m)
    expect(toml).not.toMatch(/\[build\]|build:assets|\.verge\/assets/)
  })
})

describe('a folder that will not do', () => {
  it('is refused when it has files, in words that say what --force does, and stays as it is', async () => {
    await mkdir(join(parent, 'app'))
    await writeFile(join(parent, 'app/package.json'), '{}')
    await writeFile(join(parent, 'app/notes.txt'), 'mine')
    const refused = write('app')
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow(
      /is not empty: it has notes\.txt, package\.json\..*--force.*replaces package\.json/,
    )
    expect((await readdir(join(parent, 'app'))).sort()).toEqual(['notes.txt', 'package.json'])

    const app = await write('app', { force: true })
    expect(app.replaced).toEqual(['package.json'])
    expect(await textOf('app/notes.txt')).toBe('mine')
    expect(JSON.parse(await textOf('app/package.json'))).toMatchObject({ name: 'app' })
  })

  it('is refused when it is a file', async () => {
    await writeFile(join(parent, 'app'), '')
    await expect(write('app')).rejects.toThrow(/is a file\. Choose another name/)
    await expect(write('app/inside')).rejects.toThrow(/is a file\. Choose another name/)
  })

  it('may be a fresh repository', async () => {
    await mkdir(join(parent, 'app/.git'), { recursive: true })
    await writeFile(join(parent, 'app/LICENSE'), '')
    expect((await write('app')).replaced).toEqual([])
  })
})

it('writes nothing in a dry run', async () => {
  const app = await write('app', { dryRun: true })
  expect(app.files).toContain('wrangler.toml')
  expect(await readdir(parent)).toEqual([])
})

it('takes a given name', async () => {
  await write('日本', { name: 'japan' })
  expect(await textOf('日本/wrangler.toml')).toMatch(/^name = "japan-production"$/m)
  await expect(write('other', { name: 'Not A Name' })).rejects.toThrow(/--name/)
})
