import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { CLIENT_SCRIPT } from '../../src/http/client/script.ts'
import { type ClientRuntime, clientContract, type FaultSteps } from '../contract/client.ts'
import { CALLS, type ClientCall, type ClientOutcome } from '../fixtures/client-calls.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { clientWorker } from '../fixtures/node/client-caller.ts'
import { publishEchoes, publishForClients } from '../fixtures/node/client-models.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { busy, drop, hang, json, type Step, startFaultyServer } from '../fixtures/node/faulty-server.ts'

const KEY = 'a-key-for-clients-0123456789'

let docs: DocsWorker
/** A site of its own, whose page imports the client from the Worker. */
const site = createServer((request, response) => {
  const script = `import * as client from '${docs.worker.url}/client.js'\n${CALLS}
globalThis.call = callsWith(client, { url: '${docs.worker.url}' })`
  const page = `<!doctype html><html lang="en"><title>A site</title><link rel="icon" href="data:,">
<script type="module" src="/calls.js"></script><p>Calls</p></html>`
  if (request.url === '/calls.js') response.setHeader('content-type', 'text/javascript').end(script)
  else response.setHeader('content-type', 'text/html').end(page)
})
const siteUrl = (): string => `http://localhost:${(site.address() as AddressInfo).port}/`

beforeAll(async () => {
  docs = await startDocsWorker({ VERGE_API_KEY: KEY }, [await clientWorker('page')])
  await publishForClients(docs)
  await publishEchoes(docs)
  await new Promise<void>((resolve) => site.listen(0, 'localhost', resolve))
})
afterAll(async () => {
  site.closeAllConnections()
  site.close()
  await docs?.dispose()
})

const event = (text: string): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`
const steps: FaultSteps = {
  drop,
  hang,
  page: ((response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad</h1>')) as Step,
  busy: (retryAfter) => busy(retryAfter),
  json: (body) => json(body),
  inStep(texts) {
    let stream: Parameters<Step>[0] | undefined
    const send = (i: number): void => {
      const text = texts[i]
      if (text === undefined) stream?.end('data: [DONE]\n\n')
      else stream?.write(event(text))
    }
    const first: Step = (response) => {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
      send(0)
    }
    return [
      first,
      ...texts.map(
        (_, i): Step =>
          (response) => {
            response.end()
            send(i + 1)
          },
      ),
    ]
  },
}

/** What all runtimes are given; `call` is their own. */
const given = (call: (call: ClientCall) => Promise<ClientOutcome>, expectFailures = () => {}): ClientRuntime => ({
  call,
  post: (path, body, type) => docs.post(path, body as string, type),
  get: async (path) => (await fetch(docs.worker.url + path)).json(),
  seven: new Uint8Array(readFileSync(join(ROOT, 'models/digits/samples/seven.png'))),
  key: KEY,
  steps,
  faulty: (...list) => startFaultyServer(...(list as Step[])),
  expectFailures,
})

describe('the built client in Node', () => {
  let call: (call: ClientCall) => Promise<ClientOutcome>
  beforeAll(async () => {
    const text = `${CLIENT_SCRIPT}\n${CALLS}\nexport { callsWith }`
    const built = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
      callsWith(client: unknown, options: object): typeof call
    }
    call = built.callsWith(built, { url: docs.worker.url })
  })
  clientContract(() => given(call))
})

describe('the built client in another Worker', () => {
  clientContract(() =>
    given(async (call) => {
      const caller = await docs.worker.miniflare.getWorker('page')
      const response = await caller.fetch('http://caller/', { method: 'POST', body: JSON.stringify(call) })
      return (await response.json()) as ClientOutcome
    }),
  )
})

/** Failed requests and answers of 400 and above, as Chromium reports them. */
const FAILURES = /status of [45]\d\d|ERR_\w+|^response: [A-Z]+ \S+ [45]\d\d$/

const calling = (page: Page) => (call: ClientCall) =>
  page.evaluate((given) => (globalThis as unknown as { call: ClientRuntime['call'] }).call(given), call)

describeInChromium('the client that the Worker serves, in a page', (browser) => {
  let page: Page
  const runtime = () => given(calling(page), () => browser.expectProblem(FAILURES))

  describe('of another origin', () => {
    beforeEach(async () => {
      page = await browser.open(siteUrl())
      await page.waitForFunction("typeof call === 'function'")
    })
    clientContract(runtime)
  })

  describe('of the same origin', () => {
    beforeEach(async () => {
      page = await browser.open(`${docs.worker.url}/v1/models`, { withoutCsp: true, expected: [/favicon/] })
      await page.evaluate(`import('/client.js').then((client) => {
        ${CALLS}
        globalThis.call = callsWith(client, { url: location.origin })
      })`)
    })
    clientContract(runtime)
  })

  it('is refused, with an error that says so, where CORS_ALLOW does not name the page', async () => {
    const closed = await startDocsWorker({ CORS_ALLOW: 'https://shop.example' })
    try {
      page = await browser.open(siteUrl())
      await page.waitForFunction("typeof call === 'function'")
      browser.expectProblem(/blocked by CORS policy|ERR_FAILED|404/)
      const client = { url: closed.worker.url, retries: 0 }
      const { thrown } = await calling(page)({ method: 'models', args: [], client })
      expect(thrown).toMatchObject({ code: 'network_error', status: 0, isVergeError: true })
    } finally {
      await closed.dispose()
    }
  })
})
