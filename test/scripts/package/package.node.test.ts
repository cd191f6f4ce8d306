import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { ROOT } from '../../../src/cli/files/project.ts'
import { type Closure, closureOf } from '../../fixtures/node/closure.ts'

/** Of workerd; the types of wrangler's own Miniflare; and the package itself, in the text of an application's entry. */
const ELSEWHERE = ['cloudflare:workers', 'miniflare', 'verge']

const versions = z.record(z.string(), z.string())
const manifestSchema = z.object({
  version: z.string(),
  dependencies: versions,
  optionalDependencies: versions,
  peerDependencies: versions,
  devDependencies: versions,
  exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
})

let manifest: z.infer<typeof manifestSchema>

beforeAll(async () => {
  manifest = manifestSchema.parse(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')))
})

describe.each(['src/cli/main.ts', 'src/worker.ts', 'src/app.ts', 'src/client/index.ts'])('what %s loads', (entry) => {
  let closure: Closure

  beforeAll(async () => {
    closure = await closureOf(ROOT, entry)
  })

  it('is installed with the package', () => {
    const { dependencies, optionalDependencies, peerDependencies } = manifest
    const installed = { ...dependencies, ...optionalDependencies, ...peerDependencies }
    const lacking = [...closure.packages].filter(([name]) => !(name in installed) && !ELSEWHERE.includes(name))
    expect(lacking).toEqual([])
  })

  it('reads files of Verge from beside its modules, and not from the project that it works on', async () => {
    for (const file of closure.files) {
      const own = /join\(ROOT, [`'](src|node_modules|scripts|docs|deploy|bench|test)\b/.exec(
        await readFile(join(ROOT, file), 'utf8'),
      )
      expect({ file, reads: own?.[0] }).toEqual({ file, reads: undefined })
    }
  })
})

it('exports modules that the build makes of existing ones', async () => {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : Object.values(target),
  )
  expect(targets.length).toBeGreaterThan(5)
  for (const target of targets) {
    const source = target.replace(/^\.\/dist\//, 'src/').replace(/(\.d\.ts|\.js)$/, '.ts')
    expect((await readFile(join(ROOT, source), 'utf8')).length).toBeGreaterThan(0)
  }
})

it.each(['README.md', 'docs/package.md'])('is named in %s as npm pack names it', async (page) => {
  const named = [...(await readFile(join(ROOT, page), 'utf8')).matchAll(/\.\/(verge-[\w.-]+\.tgz)/g)].map(
    ([, name]) => name,
  )
  expect([...new Set(named)]).toContain(`verge-${manifest.version}.tgz`)
})

it('is tested with the wrangler that the peer dependency begins at', () => {
  expect(manifest.peerDependencies.wrangler).toBe(`^${manifest.devDependencies.wrangler}`)
})
