import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { type Asked, type BrowserPages, REVIEW, startBrowserPages } from '../fixtures/node/browser-pages.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'

let pages: BrowserPages

beforeAll(async () => {
  pages = await startBrowserPages()
})
beforeEach(() => pages.reset())
afterAll(() => pages?.dispose())

const AUTO = { placement: 'auto' }

describeInChromium('a page that leaves the place to the client', (browser) => {
  it('is answered by the edge while the weights come, then here, also without a network', async () => {
    const page = await pages.open(browser, [/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET|Failed to fetch/])
    const expected = await pages.expected()
    const first = await pages.inPage<Asked>(page, AUTO, 'return ask()')
    expect(first).toEqual({ answer: expected, place: 'edge', reason: 'weights-loading', model: 'reviews@3' })
    await expect.poll(async () => (await pages.inPage<Asked>(page, AUTO, 'return ask()')).place).toBe('browser')
    pages.proxy.fault = () => ({ kind: 'offline' })
    for (let i = 0; i < 3; i++) {
      const { answer, place } = await pages.inPage<Asked>(page, AUTO, 'return ask({ retries: 0 })')
      expect([answer, place]).toEqual([expected, 'browser'])
    }
    pages.reset()
    expect((await pages.inPage<Asked>(page, AUTO, 'return ask()')).answer).toEqual(expected)
  })

  it('does not wait for a slow network', async () => {
    pages.spoilWeights(() => ({ kind: 'slow', bytes: 8_000, ms: 60 }))
    const page = await pages.open(browser)
    const expected = await pages.expected()
    const places: string[] = []
    await expect
      .poll(
        async () => {
          const { answer, place, reason } = await pages.inPage<Asked>(page, AUTO, 'return ask()')
          expect(answer).toEqual(expected)
          if (place === 'edge') expect(reason).toBe('weights-loading')
          places.push(place)
          return place
        },
        { interval: 200, timeout: 60_000 },
      )
      .toBe('browser')
    // A hundred pieces with 60 ms between them.
    expect(places.slice(0, 2)).toEqual(['edge', 'edge'])
  })

  it('is answered by the edge when its web worker is killed, and here again later', async () => {
    const page = await pages.open(browser)
    const expected = await pages.expected()
    await pages.inPage(page, AUTO, `await client.prepare('reviews')`)
    expect(await pages.inPage(page, AUTO, 'return ask()')).toMatchObject({ answer: expected, place: 'browser' })
    const [worker] = page.workers()
    // In the middle of its work, and without a word.
    const asking = pages.inPage<Asked>(page, AUTO, 'return ask()')
    await worker?.evaluate('self.close()')
    expect((await asking).answer).toEqual(expected)
    await expect.poll(() => page.workers().length).toBe(0)
    const places = new Set<string>()
    await expect
      .poll(async () => {
        const { answer, place } = await pages.inPage<Asked>(page, AUTO, 'shiftMs += 10_000; return ask()')
        expect(answer).toEqual(expected)
        places.add(place)
        return place === 'browser' && places.has('edge')
      })
      .toBe(true)
  })

  it('is answered by the edge alone where the weights are changed on the way', async () => {
    pages.spoilWeights(() => ({ kind: 'flip', at: 4_321 }))
    const page = await pages.open(browser)
    const expected = await pages.expected()
    await pages.inPage<Asked>(page, AUTO, 'return ask()')
    await expect
      .poll(async () => {
        const asked = await pages.inPage<Asked>(page, AUTO, 'return ask()')
        expect(asked).toMatchObject({ answer: expected, place: 'edge' })
        return asked.reason
      })
      .toBe('failed-here')
    // Two files, each of them twice; then nothing is tried for a while.
    await expect.poll(() => pages.weights().length).toBe(4)
    await pages.inPage<Asked>(page, AUTO, 'return ask()')
    expect(pages.weights()).toHaveLength(4)
  })

  it('is answered by a version that is released while it is open', async () => {
    const page = await pages.open(browser, [/404/])
    await pages.inPage(page, AUTO, `await client.prepare('reviews')`)
    expect(await pages.inPage(page, AUTO, 'return ask()')).toMatchObject({ place: 'browser', model: 'reviews@3' })
    // Other labels, so that an answer tells which version it is of.
    const folder = join(ROOT, 'models/reviews')
    const settings = JSON.parse(readFileSync(join(folder, 'verge.json'), 'utf8')) as object
    await pages.docs.publish({ ...settings, version: '4', labels: ['bad', 'good'] }, folder)
    const labels = { 'reviews@3': 'positive', 'reviews@4': 'good' } as Readonly<Record<string, string>>
    await expect
      .poll(
        async () => {
          const { answer, model, place } = await pages.inPage<Asked>(page, AUTO, 'shiftMs += 31_000; return ask()')
          expect((answer as { label: string }[])[0]?.label).toBe(labels[model])
          return `${model} ${place}`
        },
        { interval: 500, timeout: 60_000 },
      )
      .toBe('reviews@4 browser')
    expect(
      (await pages.inPage<{ models: { version: string }[] }>(page, AUTO, 'return client.storage()')).models,
    ).toMatchObject(expect.arrayContaining([expect.objectContaining({ model: 'reviews', version: '4' })]))
    await pages.docs.publish({ ...settings, version: '5' }, folder)
    // What follows compares answers, so that the Worker knows the release by then.
    const plan = async () =>
      (await fetch(`${pages.docs.worker.url}/browser/reviews`)).json() as Promise<{ version: string }>
    await expect.poll(async () => (await plan()).version, { timeout: 60_000, interval: 500 }).toBe('5')
  })
})

describeInChromium('a page of another origin', (browser) => {
  /** A page of another port, with a policy. */
  async function otherOrigin<T>(
    policy: string | undefined,
    work: (url: string) => Promise<T>,
    module = '',
  ): Promise<T> {
    const server = createServer((request, response) => {
      if (request.url === '/own.js') {
        response.writeHead(200, { 'content-type': 'text/javascript' })
        return void response.end(module)
      }
      const headers = policy === undefined ? {} : { 'content-security-policy': policy }
      response.writeHead(200, { 'content-type': 'text/html', ...headers })
      response.end('<!doctype html><link rel="icon" href="data:,"><title>Another</title>')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    try {
      return await work(`http://127.0.0.1:${(server.address() as { port: number }).port}/`)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  it('runs models with the script of the other origin', async () => {
    await otherOrigin(undefined, async (url) => {
      const page = await browser.open(url)
      const asked = await pages.inPage<Asked>(page, { placement: 'browser' }, 'return ask()')
      expect(asked).toMatchObject({ answer: await pages.expected(), place: 'browser' })
    })
  })

  it('runs models with the module of the package, which asks the server for the script', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(ROOT, 'src/browser/client/index.ts')],
      bundle: true,
      format: 'esm',
      write: false,
    })
    const module = outputFiles[0]?.text ?? ''
    await otherOrigin(
      undefined,
      async (url) => {
        const page = await browser.open(url)
        const answer = await page.evaluate(`(async () => {
          const { createBrowserClient } = await import('/own.js')
          const client = createBrowserClient({ url: '${pages.proxy.url}', placement: 'browser' })
          return client.classify('reviews', ${JSON.stringify(REVIEW)})
        })()`)
        expect(answer).toEqual(await pages.expected())
      },
      module,
    )
  })

  it('runs models under a policy that allows what the message says, and is told so under another', async () => {
    const { url: server } = pages.proxy
    const most = `default-src 'self'; script-src 'self' ${server} 'wasm-unsafe-eval'; connect-src ${server}; img-src data:`
    await otherOrigin(`${most}; worker-src blob: ${server}`, async (url) => {
      const page = await browser.open(url)
      expect(await pages.inPage<Asked>(page, { placement: 'browser' }, 'return ask()')).toMatchObject({
        answer: await pages.expected(),
        place: 'browser',
      })
    })
    await otherOrigin(most, async (url) => {
      const page = await browser.open(url, { expected: [/Content Security Policy|csp$/] })
      const failure = await pages.inPage(
        page,
        { placement: 'browser' },
        'return ask().catch(({ code, message }) => [code, message])',
      )
      expect(failure).toEqual(['engine_unsupported', expect.stringContaining(`worker-src blob: ${server}`)])
      const auto = await pages.inPage<Asked>(page, {}, `return ask({ place: 'auto' })`)
      expect(auto).toMatchObject({ answer: await pages.expected(), place: 'edge', reason: 'failed-here' })
    })
  })
})
