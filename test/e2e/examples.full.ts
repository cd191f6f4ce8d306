import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { accessible, describeInChromium, shots, type TestBrowser } from '../fixtures/node/chromium.ts'
import { packTo, type Running, type UserFolder, userFolder } from '../fixtures/node/installed-package.ts'
import { type StartProcess, startProcess } from '../fixtures/node/start-process.ts'

/** Where the documents say that Verge and the other Worker listen. */
const DOCUMENTED = 'http://127.0.0.1:8787'
const DOCUMENTED_SHOP = 'http://127.0.0.1:8790'

let state: string
let verge: StartProcess
/** A machine with the examples and the tarball where they lie in the repository, and nothing else of it but samples. */
let user: UserFolder
let shopUrl: string

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'verge-examples-'))
  // wrangler finds Workers of other processes there: not those of other tests.
  const vars = { WRANGLER_REGISTRY_PATH: join(state, 'registry') }
  const models = join(ROOT, 'models')
  verge = await startProcess({ models, persistTo: join(state, 'storage'), origin: 'none', vars })
  user = await userFolder({ ...vars, VERGE_URL: verge.url, VITE_VERGE_URL: verge.url, NO_COLOR: '1' })
  const { path } = await packTo(user)
  expect(basename(path)).toBe('verge-0.1.0.tgz')
  const filter = (source: string): boolean => !/\/(node_modules|dist|\.wrangler)$/.test(source)
  await cp(join(ROOT, 'examples'), join(user.path, 'examples'), { recursive: true, filter })
  await cp(join(ROOT, 'models/digits/samples'), join(user.path, 'models/digits/samples'), { recursive: true })
  shopUrl = `http://127.0.0.1:${await freePort()}`
}, 600_000)

afterAll(async () => {
  await verge?.stop()
  await user?.remove()
  await rm(state, { recursive: true, force: true })
})

const folderOf = (example: string): string => join(user.path, 'examples', example)

/** The blocks of an example's README in a language. */
async function blocks(example: string, language: string): Promise<string[]> {
  const text = await readFile(join(ROOT, 'examples', example, 'README.md'), 'utf8')
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, of]) => of === language)
    .map(([, , of = '']) => of)
}

/** Whether an output is the printed one, in which "..." stands for anything on a line. */
function expectPrinted(output: string, printed: string): void {
  const parts = printed.trim().split('...')
  const pattern = parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*')
  expect(output).toMatch(new RegExp(pattern))
}

/** The lines that install, and the one that starts. */
async function commandsOf(example: string): Promise<{ install: string; start: string }> {
  const [first = '', second = ''] = await blocks(example, 'sh')
  expect(first).toContain('npm ci && npm pack && npm start')
  const lines = second.trim().split('\n')
  expect(lines.slice(0, 2)).toEqual([`cd examples/${example}`, 'npm install'])
  return { install: lines.slice(0, 2).join(' && '), start: lines[2] ?? '' }
}

async function install(example: string): Promise<string> {
  const { install, start } = await commandsOf(example)
  expect(await user.run('bash', ['-ec', `export npm_config_prefer_offline=true; ${install}`])).toMatchObject({
    code: 0,
  })
  return start
}

/** Starts what an example starts, until it has printed a text. */
async function started(example: string, command: string, printed: string): Promise<Running> {
  const running = user.start('bash', ['-c', command], folderOf(example))
  await running.printed(printed)
  return running
}

describe('examples/node', () => {
  it('prints what its README says', { timeout: 600_000 }, async () => {
    const start = await install('node')
    const { code, stdout, stderr } = await user.run('bash', ['-c', start], folderOf('node'))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [printed = ''] = await blocks('node', 'text')
    expectPrinted(stdout, printed)
    const other = ['start', '--', '../../models/digits/samples/five.png']
    expect((await user.run('npm', other, folderOf('node'))).stdout).toContain('The picture shows 5')
  })
})

describe('examples/service-binding', () => {
  let shop: Running
  beforeAll(async () => {
    const start = await install('service-binding')
    const config = join(folderOf('service-binding'), 'wrangler.toml')
    const toml = await readFile(config, 'utf8')
    expect(toml).toContain(`port = ${new URL(DOCUMENTED_SHOP).port}`)
    await writeFile(config, toml.replace(/^port = \d+$/m, `port = ${new URL(shopUrl).port}`))
    shop = await started('service-binding', start, 'Ready on')
    // wrangler tells when it has found the other Worker.
    await vi.waitFor(() => expect(shop.output()).toMatch(/env\.VERGE .*\[connected\]/), { timeout: 120_000 })
  }, 600_000)
  afterAll(() => shop?.stop())

  it('answers what its README says', async () => {
    const [, , asked = ''] = await blocks('service-binding', 'sh')
    const calls = asked.trim().split('\n\n')
    expect(calls).toHaveLength(4)
    for (const call of calls) {
      const [command = '', printed = ''] = call.split('\n# ')
      const { code, stdout } = await user.run('bash', ['-c', command.replace(DOCUMENTED_SHOP, shopUrl)])
      expect(code).toBe(0)
      expectPrinted(stdout, printed)
    }
  })

  it('streams what Verge streams, tells its errors, and passes routes on', async () => {
    const events = await (await fetch(`${shopUrl}/ask?text=What+is+27+plus+58%3F`)).text()
    expect(events.match(/^data: /gm)?.length).toBeGreaterThan(4)
    expect(events).toMatch(/data: \[DONE\]\n\n$/)
    const empty = await fetch(`${shopUrl}/review`)
    expect({ status: empty.status, body: await empty.json() }).toEqual({
      status: 400,
      body: { error: 'empty_input' },
    })
    const [models, same] = await Promise.all(
      [shopUrl, verge.url].map(async (url) => (await fetch(`${url}/v1/models`)).json()),
    )
    expect(models).toEqual(same)
    expect((await fetch(`${shopUrl}/nothing`)).status).toBe(404)
  })

  it('has types', { timeout: 600_000 }, async () => {
    expect(await user.run('npm', ['run', 'types'], folderOf('service-binding'))).toMatchObject({ code: 0 })
  })
})

const seven = join(ROOT, 'models/digits/samples/seven.png')

describeInChromium('examples/plain-html', (browser) => {
  /** Opens the file as a double click does, with the address of the Worker of the test. */
  async function openPage(): Promise<Page> {
    const file = join(folderOf('plain-html'), 'index.html')
    const html = await readFile(join(ROOT, 'examples/plain-html/index.html'), 'utf8')
    expect(html.split(DOCUMENTED)).toHaveLength(3)
    await writeFile(file, html.replaceAll(DOCUMENTED, verge.url))
    return browser.open(pathToFileURL(file).href)
  }

  it('classifies a review, reads a picture and shows an answer part by part', async () => {
    const page = await openPage()
    await page.getByRole('button', { name: 'Is it positive?' }).click()
    await expect.poll(() => page.locator('#review output').textContent()).toMatch(/^positive, 9\d\.\d %$/)
    await page.getByLabel('A picture of a digit').setInputFiles(seven)
    await expect.poll(() => page.locator('#digit').textContent()).toMatch(/^7, \d+\.\d %$/)
    await page.getByRole('button', { name: 'Ask' }).click()
    await expect.poll(() => page.locator('#question output').textContent()).toContain('85')
    await shots(page, 'example-plain-html')
    await accessible(page)
  })

  it('shows what Verge says is wrong', async () => {
    const page = await openPage()
    browser.expectProblem(/status of 4\d\d|^response: POST \S+ 4\d\d$/)
    await page
      .getByLabel('A picture of a digit')
      .setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('no picture') })
    await expect.poll(() => page.locator('#digit').textContent()).toMatch(/image|picture/i)
  })

  it('runs its models in the browser by the two lines of its README, from a server', async () => {
    const [, lines = ''] = await blocks('plain-html', 'js')
    const html = await readFile(join(ROOT, 'examples/plain-html/index.html'), 'utf8')
    const own = /^ *import \{ createClient \}.*\n\n? *const verge = .*\n/m
    expect(html).toMatch(own)
    const served = html.replace(own, () => lines).replaceAll(DOCUMENTED, verge.url)
    const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(served))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const page = await browser.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const requests: string[] = []
    page.on('request', (request) => void requests.push(new URL(request.url()).pathname))
    await page.getByRole('button', { name: 'Is it positive?' }).click()
    await expect.poll(() => page.locator('#review output').textContent(), { timeout: 60_000 }).toMatch(/^positive, 9/)
    await page.getByLabel('A picture of a digit').setInputFiles(seven)
    await expect.poll(() => page.locator('#digit').textContent(), { timeout: 60_000 }).toMatch(/^7, /)
    expect(requests).toEqual(expect.arrayContaining(['/browser/reviews', '/browser/digits']))
    expect(requests.filter((path) => path.startsWith('/run/'))).toEqual([])
  })

  it('has five lines in its README, which print the same', async () => {
    const [code = ''] = await blocks('plain-html', 'js')
    expect(code.trim().split('\n')).toHaveLength(5)
    const page = await browser.open(pathToFileURL(join(folderOf('plain-html'), 'index.html')).href)
    const printed: string[] = []
    page.on('console', (message) => void printed.push(message.text()))
    await page.addScriptTag({ type: 'module', content: code.replaceAll(DOCUMENTED, verge.url) })
    await expect.poll(() => printed.join('')).toMatch(/^positive 0\.9\d+27 plus 58 is 85\./)
  })
})

describeInChromium('examples/vite-app', (browser) => {
  let dev: Running
  let start: string
  beforeAll(async () => {
    start = await install('vite-app')
    dev = await started('vite-app', start, 'Local:')
  }, 600_000)
  afterAll(() => dev?.stop())

  it('classifies while somebody writes, reads a picture, and stops an answer', async () => {
    expect(start).toBe('npm run dev')
    const page = await browser.open(addressIn(dev.output()))
    await useApp(page, browser)
    await shots(page, 'example-vite-app')
    await accessible(page)
  })

  it('is built with its types checked, and works as built', { timeout: 600_000 }, async () => {
    expect(await user.run('npm', ['run', 'build'], folderOf('vite-app'))).toMatchObject({ code: 0 })
    const preview = await started('vite-app', 'npm run preview', 'Local:')
    try {
      await useApp(await browser.open(addressIn(preview.output())), browser)
    } finally {
      await preview.stop()
    }
  })
})

const addressIn = (output: string): string => /http:\/\/localhost:\d+\//.exec(output)?.[0] ?? ''

async function useApp(page: Page, browser: TestBrowser): Promise<void> {
  // A call that the next letter ends, and what is not asked any more where models run elsewhere.
  browser.expectProblem(/ERR_ABORTED/)
  const label = page.locator('#label')
  const review = page.getByLabel('A film review')
  await expect.poll(() => label.textContent()).toMatch(/^positive, 9\d\.\d %$/)
  for (const [place, sample, digit] of [
    ['at the edge', 'seven.png', /^7: /],
    ['in this browser', 'five.png', /^5: /],
  ] as const) {
    await page.getByLabel('Where models run').selectOption(place)
    await review.fill('')
    await review.pressSequentially('A waste of an evening.')
    await expect.poll(() => label.textContent(), { timeout: 60_000 }).toMatch(/^negative, 9\d\.\d %$/)
    await expect.poll(() => page.locator('#where').textContent()).toMatch(`answered ${place}`)
    await page.getByLabel('A picture of a digit').setInputFiles(join(ROOT, 'models/digits/samples', sample))
    await expect
      .poll(() => page.locator('#where').textContent(), { timeout: 60_000 })
      .toMatch(new RegExp(`^digits@\\d+ answered ${place}$`))
    await expect.poll(() => page.locator('#digits li').first().textContent()).toMatch(digit)
    expect(await page.locator('#digits li').count()).toBe(3)
  }
  await page.getByRole('button', { name: 'Ask' }).click()
  await expect.poll(() => page.locator('#answer').textContent()).toContain('85')
  await expect.poll(() => page.getByRole('button', { name: 'Stop' }).isDisabled()).toBe(true)
}

describe('the manifests of the examples', () => {
  it('name the versions that the repository is tested with', async () => {
    const json = async (path: string) =>
      JSON.parse(await readFile(join(ROOT, path), 'utf8')) as {
        version?: string
        dependencies?: Record<string, string>
        devDependencies?: Record<string, string>
      }
    const own = await json('package.json')
    for (const example of ['node', 'service-binding', 'vite-app']) {
      const { dependencies, devDependencies } = await json(`examples/${example}/package.json`)
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
        const expected = name === 'verge' ? `file:../../verge-${own.version}.tgz` : own.devDependencies?.[name]
        expect({ example, name, version }).toEqual({ example, name, version: expected })
      }
    }
  })
})
