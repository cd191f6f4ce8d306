import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'

const run = promisify(execFile)
const tsc = (...args: string[]) => run(join(ROOT, 'node_modules/.bin/tsc'), args, { cwd: ROOT, maxBuffer: 1e8 })

async function modulesOf(config: string): Promise<ReadonlySet<string>> {
  const { stdout } = await tsc('-p', config, '--listFilesOnly')
  const paths = stdout.split('\n').map((path) => relative(ROOT, path).split(sep).join('/'))
  return new Set(paths.filter((path) => /^(src|scripts|bench|test)\//.test(path)))
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(ROOT, folder), { recursive: true })
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name.split(sep).join('/')}`)
}

describe('the programs of TypeScript', () => {
  let workers: ReadonlySet<string>
  let node: ReadonlySet<string>
  let browsers: ReadonlySet<string>
  let inWorkerd: ReadonlySet<string>
  let inNode: ReadonlySet<string>
  beforeAll(async () => {
    workers = await modulesOf('tsconfig.json')
    node = await modulesOf('tsconfig.node.json')
    browsers = new Set([...(await modulesOf('tsconfig.browser.json')), ...(await modulesOf('tsconfig.page.json'))])
    inWorkerd = await modulesOf('tsconfig.test-worker.json')
    inNode = await modulesOf('tsconfig.test-node.json')
  }, 120_000)

  it('check all of src under Workers and Node, but for what belongs to one of them', async () => {
    const all = (await filesIn('src')).filter((path) => !path.endsWith('.d.ts'))
    const ofBrowsers = /^src\/(browser|engine\/webgpu)\//
    expect(all.filter((path) => ofBrowsers.test(path) && !browsers.has(path))).toEqual([])
    const modules = all.filter((path) => !ofBrowsers.test(path))
    const ofNode = /^src\/(cli|cloudflare|compile|engine\/native|engine\/process|onnx|origin|quantize)\//
    expect(modules.filter((path) => !workers.has(path) && !ofNode.test(path))).toEqual([])
    const assembled = modules.filter((path) => path.startsWith('src/assemble/'))
    expect(modules.filter((path) => !node.has(path)).sort()).toEqual([
      ...assembled,
      'src/metering/ledger/durable.ts',
      'src/metering/ledger/sql-store.ts',
      'src/rehearsal/rehearse.ts',
      'src/releases/guard.ts',
      'src/releases/watch/durable.ts',
      'src/stream/durable.ts',
      'src/stream/refusing.ts',
      'src/telemetry/metrics/shard.ts',
      'src/telemetry/metrics/tables.ts',
      'src/worker.ts',
    ])
  })

  it('leave out no script, bench or test, and have no tests among the code that is tested', async () => {
    for (const path of [...(await filesIn('scripts')), ...(await filesIn('bench'))]) {
      expect(node.has(path) || workers.has(path) || browsers.has(path), path).toBe(true)
    }
    for (const path of await filesIn('test')) {
      expect(inNode.has(path) || inWorkerd.has(path) || browsers.has(path), path).toBe(true)
    }
    expect([...workers].filter((path) => path.startsWith('test/'))).toEqual([])
    // benches take their models and pictures from there, and the script of docs/compatibility.md the shape of its rows
    expect([...node].filter((path) => /^test\/(?!fixtures\/|compatibility\/row\.ts$)/.test(path))).toEqual([])
  })
})

describe("types of another runtime in a program's", () => {
  it.each([
    { what: "Node's", base: 'tsconfig.json', probe: 'workers', types: ['@cloudflare/workers-types', 'node'], lib: [] },
    {
      what: "a browser's",
      base: 'tsconfig.json',
      probe: 'workers',
      types: ['@cloudflare/workers-types'],
      lib: ['DOM'],
    },
    { what: "a browser's", base: 'tsconfig.node.json', probe: 'node', types: ['node'], lib: ['DOM'] },
    { what: "a page's", base: 'tsconfig.browser.json', probe: 'browser', types: [], lib: ['DOM'] },
    { what: "Node's", base: 'tsconfig.browser.json', probe: 'browser', types: ['node'], lib: ['WebWorker'] },
    {
      what: "a Worker's",
      base: 'tsconfig.node.json',
      probe: 'node',
      types: ['node', '@cloudflare/workers-types'],
      lib: [],
    },
  ])('are an error: $what in $base', async ({ base, probe, types, lib }) => {
    // in the repository, because packages of types are looked for from here upwards
    const cache = join(ROOT, 'node_modules/.cache')
    await mkdir(cache, { recursive: true })
    const folder = await mkdtemp(join(cache, 'leak-'))
    try {
      const config = {
        extends: join(ROOT, base),
        compilerOptions: { types, lib: ['ES2024', 'ES2025.Float16', ...lib], incremental: false },
        include: [join(ROOT, `scripts/checks/runtimes/${probe}.ts`)],
        exclude: [],
      }
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
      await expect(tsc('-p', folder)).rejects.toMatchObject({
        stdout: expect.stringContaining("Unused '@ts-expect-error'"),
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
