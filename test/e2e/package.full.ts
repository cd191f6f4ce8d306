import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import {
  packTo,
  type Result,
  type Running,
  type Tarball,
  type UserFolder,
  userFolder,
} from '../fixtures/node/installed-package.ts'

/** A name that shells, addresses and patterns could take apart. */
const FOLDER = "it's my app (1)"

/** The package's tarball: code, one model, and ONNX Runtime's three builds for browsers, which take 14 MB of it. */
const MOST_BYTES = 18 * 1024 * 1024

let user: UserFolder
let tarball: Tarball
let written: Result
let app: string
let started: Running
let url: string

const npx = (...args: string[]): Promise<Result> => user.run('npx', ['--no', '--', ...args], app)
const five = (): Promise<Buffer<ArrayBuffer>> => readFile(join(app, 'models/digits/samples/five.png')) as never

async function labels(model: string): Promise<{ label: string; score: number }[]> {
  const answer = await fetch(`${url}/run/${model}`, {
    method: 'POST',
    headers: { 'content-type': 'image/png' },
    body: await five(),
  })
  expect(answer.status).toBe(200)
  return (await answer.json()) as { label: string; score: number }[]
}

beforeAll(async () => {
  user = await userFolder()
  tarball = await packTo(user)
  app = join(user.path, FOLDER)
  // The first of the three commands in README.md.
  written = await user.run('npx', ['--yes', '--ignore-scripts', `./${basename(tarball.path)}`, 'init', FOLDER])
  expect(written).toMatchObject({ code: 0, stderr: '' })
  expect(await user.run('npm', ['install', '--prefer-offline'], app)).toMatchObject({ code: 0 })
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  started = user.start('npm', ['start', '--', '--port', String(port)], app)
  await started.printed('Press Ctrl-C to stop.')
}, 600_000)

afterAll(async () => {
  await started?.stop()
  await user?.remove()
})

describe('the tarball', () => {
  it('has what runs, types, documents and one model, and no TypeScript or test', () => {
    const paths = tarball.files.map(({ path }) => path)
    expect(paths).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'dist/worker.js',
        'dist/worker.d.ts',
        'dist/engine/verge/kernels/plain.wasm',
        'dist/assets/_headers',
        'dist/assets/index.html',
        'dist/cli/verify/texts.txt',
        'dist/cli/local/guard/workerd.sh',
        'docs/package.md',
        'models/digits/model.onnx',
      ]),
    )
    const others = paths.filter(
      (path) =>
        (/\.[cm]?ts$/.test(path) && !path.endsWith('.d.ts')) ||
        /^(src|test|bench|synthetic|assembly)\/|tsconfig/.test(path),
    )
    expect(others).toEqual([])
    expect(paths.filter((path) => /^models\/(?!digits\/)/.test(path))).toEqual([])
    expect(tarball.bytes).toBeLessThan(MOST_BYTES)
  })

  it('has a built module for every one that the built modules start', async () => {
    const left = tarball.files.filter(({ path }) => /^dist\/.*\.js$/.test(path))
    for (const { path } of left) {
      expect(await readFile(join(app, 'node_modules/verge', path), 'utf8')).not.toMatch(
        /(from |import\(|URL\()['"]\.[^'"]*\.ts['"]/,
      )
    }
  })
})

describe('verge init', () => {
  it('says what it wrote and what to do next', () => {
    expect(written.stdout).toContain('Wrote the application "it-s-my-app-1"')
    expect(written.stdout).toContain(`cd 'it'\\''s my app (1)'`)
    expect(written.stdout).toMatch(/npm install\n\s+npm start/)
  })

  it('names the tarball by its path, which npm finds again', async () => {
    const { dependencies } = JSON.parse(await readFile(join(app, 'package.json'), 'utf8')) as { dependencies: object }
    expect(dependencies).toEqual({ verge: `file:../${basename(tarball.path)}` })
    expect(await user.run('npm', ['ls', 'verge'], app)).toMatchObject({ code: 0 })
  })

  it('refuses a folder with files, and leaves it as it is', async () => {
    const before = await readdir(app)
    const refused = await npx('verge', 'init', '.')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(
      /^\. is not empty: it has .*Choose another folder, or add --force: it replaces .*\n$/,
    )
    expect(await readdir(app)).toEqual(before)
    expect(await npx('verge', 'init', '../日本', '--dry-run')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--name/),
    })
    const dry = await npx('verge', 'init', '../other', '--dry-run')
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing was written') })
    expect(await readdir(user.path)).not.toContain('other')
  })

  it('is explained by --help, as every command is', async () => {
    const help = await npx('verge', '--help')
    expect(help.stdout).toMatch(/^ {2}init {7}writes an application/m)
    expect((await npx('verge', 'init', '--help')).stdout).toContain('Usage: npx verge init FOLDER')
    expect(await npx('verge', 'init')).toMatchObject({ code: 1, stderr: expect.stringContaining('Specify a folder') })
    expect(await npx('verge', 'inti', 'x')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Did you mean "init"?'),
    })
  })
})

describe('the application', () => {
  it('answers by the model that ships, and by a route of its own', async () => {
    const [best] = await labels('digits')
    expect(best?.label).toBe('5')
    expect(best?.score).toBeGreaterThan(0.9)
    expect(await (await fetch(`${url}/hello`)).text()).toBe('Hello from a route of your own.\n')
    expect(await (await fetch(`${url}/healthz`)).json()).toMatchObject({ status: 'ok' })
  })

  it('answers the page to browsers, and its files from the package', async () => {
    const response = await fetch(`${url}/`, { headers: { accept: 'text/html,*/*;q=0.8' } })
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    const html = await response.text()
    const [, script] = /<script [^>]*src="([^"]+)"/.exec(html) ?? []
    const file = await fetch(new URL(script ?? 'missing', url))
    expect(file.headers.get('content-type')).toMatch(/javascript/)
    expect(file.headers.get('cache-control')).toContain('immutable')
    expect(file.headers.get('access-control-allow-origin')).toBe('*')
    expect((await (await fetch(`${url}/`)).json()) as object).toMatchObject({ name: 'verge' })
  })

  it('bundles for a deployment, with its bindings', async () => {
    const { code, stdout } = await npx('wrangler', 'deploy', '--dry-run', '--env', 'production')
    expect(code).toBe(0)
    for (const binding of [
      'env.ASSETS',
      'env.STREAMS (SpeechStream)',
      'env.KV',
      'env.BUCKET (it-s-my-app-1-models-production)',
    ]) {
      expect(stdout).toContain(binding)
    }
  })

  it('takes a pushed model while it runs: quantized, verified in workerd, stored and released', async () => {
    const pushed = await npx('verge', 'push', 'models/digits/model.onnx', '--name', 'mine', '--model-version', '1')
    expect(pushed).toMatchObject({ code: 0 })
    expect(pushed.stdout).toContain('verge-q8')
    const [best] = await labels('mine')
    expect(best?.label).toBe('5')
    expect((await npx('verge', 'models')).stdout).toMatch(/^digits[\s\S]*^mine/m)
    // What Verge keeps lies in the application, and nothing in the package.
    expect(await readdir(join(app, '.verge'))).toContain('bundles')
    expect(await readdir(join(app, 'node_modules/verge'))).not.toContain('.verge')
  })

  it('has a command line that packs, verifies and finds nothing wrong', async () => {
    expect(await npx('verge', 'pack', '--json')).toMatchObject({ code: 0 })
    const verified = await npx('verge', 'verify', 'models/digits/model.onnx', 'models/digits/model.q8.onnx')
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('workerd') })
    const checked = await npx('verge', 'doctor', '--url', url, '--requests', '2', '--json')
    const { ok, checks } = JSON.parse(checked.stdout) as { ok: boolean; checks: { status: string; finding: string }[] }
    expect({ ok, found: checks.filter(({ status }) => ['warn', 'fail'].includes(status)) }).toEqual({
      ok: true,
      found: [],
    })
  })

  it('is told by doctor what its wrangler.toml lacks after an upgrade', async () => {
    const config = join(app, 'old.toml')
    const toml = await readFile(join(app, 'wrangler.toml'), 'utf8')
    const old = toml
      .replace(/^compatibility_date = .*$/m, 'compatibility_date = "2026-06-01"')
      .replace(/^\[\[durable_objects\.bindings\]\]\nname = "STREAMS"\n.*\n/m, '')
    await writeFile(config, old)
    const { code, stdout } = await npx('verge', 'doctor', '--config', 'old.toml')
    expect(code).toBe(1)
    expect(stdout).toMatch(/^warn .*compatibility_date 2026-06-01 is older than/m)
    expect(stdout).toMatch(/^fail .*no Durable Object is bound to STREAMS/m)
  })

  it('calls the running Worker by the exported client', async () => {
    const script = `
      import { readFile } from 'node:fs/promises'
      import { createClient } from 'verge/client'
      const client = createClient({ url: process.argv[2] })
      const [best] = await client.classify('digits', await readFile('models/digits/samples/seven.png'))
      console.log(best.label)
      await import('verge').then(({ createApp }) => console.log(typeof createApp))
      const { createBrowserClient } = await import('verge/browser')
      const browser = createBrowserClient({ url: process.argv[2], placement: 'edge' })
      console.log((await browser.classify('digits', await readFile('models/digits/samples/seven.png')))[0].label)
    `
    await writeFile(join(app, 'call.mjs'), script)
    expect(await user.run('node', ['call.mjs', url], app)).toMatchObject({ code: 0, stdout: '7\nfunction\n7\n' })
  })
})

describeInChromium('the playground of the application', (browser) => {
  it('shows its models, with what the package brings', async () => {
    const page = await browser.open(url)
    await page.getByText('digits').first().waitFor()
    await shots(page, 'package-playground')
    await accessible(page)
  })

  it('runs a model in the browser by the engine that the package brings', async () => {
    const page = await browser.open(url)
    const picture = JSON.stringify((await five()).toString('base64'))
    const answer = await page.evaluate(`import('/browser.js').then(async ({ createBrowserClient }) => {
      const places = []
      const client = createBrowserClient({ url: location.origin, placement: 'browser' })
      const picture = new Blob([Uint8Array.from(atob(${picture}), (c) => c.charCodeAt(0))], { type: 'image/png' })
      const [best] = await client.classify('digits', picture, { onAnswer: ({ place }) => places.push(place) })
      return [best.label, best.score, ...places]
    })`)
    expect(answer).toEqual(['5', expect.any(Number), 'browser'])
    // The number of the Worker, to what processors differ in.
    const [best] = await labels('digits')
    expect((answer as number[])[1]).toBeCloseTo(best?.score ?? 0, 3)
  })
})

describe('types', () => {
  const tsc = (): Promise<Result> => user.run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], app)

  it('hold for the entry and for every export, declarations of the package included', async () => {
    expect(await npx('wrangler', 'types')).toMatchObject({ code: 0 })
    const settings = join(app, 'tsconfig.json')
    await writeFile(
      settings,
      (await readFile(settings, 'utf8')).replace('"skipLibCheck": true', '"skipLibCheck": false'),
    )
    const good = `
      import { type AppDeps, createApp } from 'verge'
      import { createClient, type VergeClient, VergeError } from 'verge/client'
      import { type BrowserClient, createBrowserClient } from 'verge/browser'
      import type { VergeBinding } from 'verge/rpc'
      import worker, { type Env, SpeechStream, VergeRpc, WorkersAi } from 'verge/worker'
      export const app = (deps: AppDeps) => createApp(deps).fetch
      export const client: VergeClient = createClient({ url: 'https://a.test' })
      export const browser: BrowserClient = createBrowserClient({ url: 'https://a.test', placement: 'auto' })
      export const label = async (): Promise<string | undefined> => (await client.classify('m', 'text'))[0]?.label
      export const ask = (binding: VergeBinding): Promise<unknown> => binding.run('m', 'text')
      export const bucket = (env: Env): R2Bucket => env.BUCKET
      export const all = [worker.fetch, worker.scheduled, SpeechStream, VergeRpc, WorkersAi, VergeError]
    `
    await writeFile(join(app, 'src/uses.ts'), good)
    expect(await tsc()).toMatchObject({ code: 0, stdout: '' })
    await writeFile(join(app, 'src/uses.ts'), `${good}\nexport const wrong: number = client.classify('m', 'text')`)
    expect((await tsc()).stdout).toMatch(/^src\/uses\.ts\(\d+,\d+\): error TS2322/m)
  })
})

describe('verge origin', () => {
  it('is ready over the models of the application, with the native engine in a process of its own', async () => {
    const port = String(await freePort())
    const admin = await freePort()
    const origin = user.start(
      'npx',
      ['verge', 'origin', '--from', 'models', '--port', port, '--admin-port', String(admin)],
      app,
    )
    try {
      const ready = () =>
        fetch(`http://127.0.0.1:${admin}/readyz`).then(
          ({ status }) => status,
          () => 0,
        )
      await expect.poll(ready, { timeout: 60_000 }).toBe(200)
    } finally {
      await origin.stop()
    }
  })
})

describe('without what npm may leave out', () => {
  it('says that wrangler is not installed, and how to install it', async () => {
    const bare = await user.run('npx', ['--yes', '--ignore-scripts', `./${basename(tarball.path)}`, 'doctor'])
    expect(bare.code).toBe(1)
    expect(bare.stderr).toBe(
      'The package wrangler is not installed. Install it in your project:\n\n  npm install --save-dev wrangler\n\n',
    )
  })
})

it('stops when asked, and leaves nothing running', async () => {
  await started.stop()
  await expect.poll(() => fetch(`${url}/healthz`).catch(() => 'refused')).toBe('refused')
  await expect.poll(() => processesNaming(user.path)).toEqual([])
})

/** What runs with a path of a folder in its command line. */
async function processesNaming(folder: string): Promise<string[]> {
  const { stdout } = await user.run('ps', ['-eo', 'args='])
  return stdout.split('\n').filter((line) => line.includes(folder))
}
