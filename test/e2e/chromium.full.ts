import { spawn } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Chromium, findChromium } from '../../bench/lib/chromium.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import { haveChromium, type Machine } from '../fixtures/node/chromium-setup.ts'

const PAGE = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A page</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">
<main><h1>A page</h1><p class="quiet">Words.</p><button>Press</button></main></html>`
const STYLE = `body { background: #fff; color: #000 }
@media (prefers-color-scheme: dark) { body { background: #111; color: #fff } .quiet { color: #333 } }`
const CSP = "default-src 'self'; img-src data:; worker-src 'self' blob:; script-src 'self'"

const server = createServer((request, response) => {
  const path = new URL(request.url ?? '/', 'http://any').pathname
  const answer = (type: string, body: string, status = 200) =>
    response.writeHead(status, { 'content-type': type, 'content-security-policy': CSP }).end(body)
  if (path === '/') answer('text/html', PAGE)
  else if (path === '/inline') answer('text/html', PAGE.replace('<main>', '<script>document.title = 1</script><main>'))
  else if (path === '/wide') answer('text/html', PAGE.replace('Words.', 'Word'.repeat(500)))
  else if (path === '/style.css') answer('text/css', STYLE)
  else answer('text/plain', 'nothing here', 404)
})
let url: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

describeInChromium('the fixture of tests in Chromium', (browser) => {
  it('takes pictures of a page in light, in dark and as wide as a phone', async () => {
    const page = await browser.open(url)
    const files = await shots(page, 'fixture')
    expect(files.map((file) => file.split('/').at(-1))).toEqual([
      'fixture-light.png',
      'fixture-dark.png',
      'fixture-phone.png',
    ])
    const [light, dark, phone] = files.map((file) => readFileSync(file))
    expect(light?.equals(dark ?? Buffer.of())).toBe(false)
    // The width stands at byte 16 of a PNG.
    expect([light?.readUInt32BE(16), phone?.readUInt32BE(16)]).toEqual([1280, 390])
    expect(files.map((file) => statSync(file).size > 1000)).toEqual([true, true, true])
    await expect(shots(await browser.open(`${url}/wide`), 'fixture-wide')).rejects.toThrow(/wider than a phone/)
  })

  it('finds what a reader of the page could not read, by the colours in which it is so', async () => {
    const page = await browser.open(url, { dark: true })
    await expect(accessible(page)).rejects.toThrow(/in dark colours[\s\S]*color-contrast/)
    await accessible(page, 'h1')
    await page.evaluate("document.querySelector('button').textContent = ''")
    await expect(accessible(page, 'button')).rejects.toThrow(/in light colours[\s\S]*button-name/)
    expect(await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")).toBe(true)
  })

  it('collects what goes wrong in a page and in its workers', async () => {
    const page = await browser.open(`${url}/inline`)
    await page.evaluate("console.error('on the console')")
    await page.evaluate("setTimeout(() => { throw new Error('by the page') })")
    await page.evaluate(
      'void new Worker(URL.createObjectURL(new Blob([\'console.error(1, 2); throw new Error("by a worker")\'])))',
    )
    await page.evaluate("fetch('/absent').then(() => fetch('http://elsewhere.example/')).catch(() => undefined)")
    const all = [
      /^console: Executing inline script violates .*Content Security Policy/,
      /^console: on the console/,
      /^console: 1 2/,
      /^exception: by the page/,
      /^exception: by a worker/,
      /^response: GET .*\/absent 404$/,
      /^console: .*status of 404/,
      /^console: .*elsewhere\.example.*violates/,
    ]
    for (const pattern of all)
      await expect.poll(() => browser.problems()).toContainEqual(expect.stringMatching(pattern))
    all.forEach(browser.expectProblem.bind(browser))
    await expect.poll(() => browser.problems().filter((problem) => !/elsewhere/.test(problem))).toEqual([])
    browser.expectProblem(/elsewhere/)
  })

  it('reaches nothing outside of this machine, and gives each test a storage of its own', async () => {
    const page = await browser.open(url)
    expect(await page.evaluate('localStorage.length')).toBe(0)
    await page.evaluate("localStorage.setItem('a', 'b')")
    expect(await (await browser.open(url)).evaluate("localStorage.getItem('a')")).toBe('b')
    await expect(page.goto('https://www.cloudflare.com/')).rejects.toThrow(/ERR_NAME_NOT_RESOLVED/)
    browser.expectProblem(/cloudflare/)
  })

  it('starts empty again', async () => {
    const page = await browser.open(url.replace('127.0.0.1', 'a.localhost'))
    expect(await page.evaluate('[localStorage.length, isSecureContext, location.hostname].join()')).toBe(
      '0,true,a.localhost',
    )
  })

  it('leaves no Chromium behind when the process of a test is killed', async () => {
    const mark = `--verge-test-mark=${process.pid}`
    const program = (await findChromium()) as Extract<Chromium, { kind: 'found' }>
    const script = `
      const { chromium } = await import('playwright-core')
      const browser = await chromium.launch({ executablePath: ${JSON.stringify(program.program)}, args: ['--no-sandbox', '${mark}'] })
      await browser.newPage()
      console.log('open')
      setInterval(() => {}, 1000)`
    // A killed process leaves its profile behind.
    const temporary = await mkdtemp(join(tmpdir(), 'verge-killed-'))
    onTestFinished(() => rm(temporary, { recursive: true, force: true, maxRetries: 10 }))
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: temporary },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const marked = async (): Promise<number> => {
      const list = spawn('ps', ['-eo', 'args='])
      let count = 0
      for await (const line of createInterface({ input: list.stdout })) {
        if (line.includes(mark) && !line.includes('--eval')) count++
      }
      return count
    }
    for await (const line of createInterface({ input: child.stdout })) if (line === 'open') break
    expect(await marked()).toBeGreaterThan(0)
    child.kill('SIGKILL')
    await expect.poll(marked, { timeout: 60_000 }).toBe(0)
  })
})

describeInChromium(
  'the fixture with WebGPU',
  (browser) => {
    it('has an adapter', async () => {
      const page = await browser.open(url)
      expect(await page.evaluate('navigator.gpu.requestAdapter().then((adapter) => adapter.info.architecture)')).toBe(
        'swiftshader',
      )
    })
  },
  { webgpu: true },
)

describe('where Chromium is missing', () => {
  const found: Chromium = { kind: 'found', program: '/usr/bin/chromium' }
  const missing: Chromium = { kind: 'missing', reason: 'this machine has no Chromium' }
  const POLICY = 'chromium:\n  Installed: (none)\n  Candidate: 130.0\n'

  /** A machine where commands end and print as given; without an answer they do well. */
  function machine(answers: Record<string, { code: number; output: string }>, more: Partial<Machine> = {}) {
    const commands: string[] = []
    const finds = [missing, more.find === undefined ? found : missing]
    const fake: Machine = {
      find: async () => finds.shift() ?? missing,
      canInstall: async () => true,
      run: async (program, args) => {
        const words = args.filter((word) => /^[a-z]+$/.test(word))
        const command = [program, ...words].join(' ')
        commands.push(command)
        return answers[command] ?? { code: 0, output: program === 'apt-cache' ? POLICY : '' }
      },
      ci: true,
      say: () => undefined,
      ...more,
    }
    return { commands, have: () => haveChromium(fake) }
  }
  const never = async (): Promise<Chromium> => missing

  it('it is installed', async () => {
    const { commands, have } = machine({})
    expect(await have()).toEqual(found)
    expect(commands).toEqual(['apt-get update', 'apt-cache policy chromium', 'apt-get install chromium'])
  })

  it('the tests are skipped where it cannot be had', async () => {
    const { have, commands } = machine({}, { canInstall: async () => false })
    expect(await have()).toMatchObject({ kind: 'missing', reason: expect.stringContaining('only by root') })
    expect(commands).toEqual([])
    const offline = { code: 100, output: "Ign:1 mirror\nE: Could not resolve 'mirror'\n" }
    expect(
      await machine({ 'apt-get update': offline, 'apt-cache policy chromium': { code: 0, output: '' } }).have(),
    ).toEqual({ kind: 'missing', reason: "apt-get knows no package chromium: E: Could not resolve 'mirror'" })
    const both = { 'apt-get update': offline, 'apt-get install chromium': offline }
    expect(await machine(both, { find: never }).have()).toMatchObject({ kind: 'missing' })
  })

  it('the tests fail in CI where it could be had, and are skipped elsewhere', async () => {
    const full = { 'apt-get install chromium': { code: 100, output: 'E: no space left on the disk\n' } }
    const reason = 'apt-get install chromium ended with 100: E: no space left on the disk'
    expect(await machine(full, { find: never }).have()).toEqual({ kind: 'broken', reason })
    expect(await machine(full, { find: never, ci: false }).have()).toEqual({ kind: 'missing', reason })
  })

  it('a variable that names no Chromium is an error, and a program that does not run is none', async () => {
    expect(await findChromium({ CHROMIUM: '/nowhere/chromium' })).toMatchObject({
      kind: 'broken',
      reason: expect.stringContaining('/nowhere/chromium'),
    })
    expect(await findChromium({ CHROMIUM: '/bin/false' })).toMatchObject({ kind: 'broken' })
  })
})
