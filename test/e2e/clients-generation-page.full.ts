import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

/** What a page does with the clients that their users bundle into it; each gives the whole text, and what it was refused. */
const SCRIPT = `
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { Ollama } from 'ollama/browser'

const messages = [{ role: 'user', content: 'What is 27 plus 58?' }]
const browser = { apiKey: 'any', dangerouslyAllowBrowser: true, maxRetries: 0 }

globalThis.clients = {
  async anthropic(url) {
    const anthropic = new Anthropic({ baseURL: url + '/anthropic', ...browser })
    const request = { model: 'abacus', max_tokens: 100, temperature: 0, messages }
    const text = await anthropic.messages.stream(request).finalText()
    const refused = await anthropic.messages.create({ ...request, temperature: 7 }).catch((error) => error)
    return [text, refused instanceof Anthropic.BadRequestError, typeof refused.requestID]
  },
  async ollama(url) {
    const ollama = new Ollama({ host: url + '/ollama' })
    let text = ''
    const request = { model: 'abacus', messages, options: { temperature: 0 } }
    for await (const part of await ollama.chat({ ...request, stream: true })) text += part.message.content
    const refused = await ollama.chat({ ...request, format: 7 }).catch((error) => error)
    return [text, refused.name === 'ResponseError', typeof refused.status_code]
  },
  async responses(url) {
    const openai = new OpenAI({ baseURL: url + '/v1', ...browser })
    const request = { model: 'abacus', input: messages, temperature: 0 }
    const { output_text: text } = await openai.responses.stream(request).finalResponse()
    const refused = await openai.responses.create({ ...request, temperature: 7 }).catch((error) => error)
    return [text, refused instanceof OpenAI.BadRequestError, typeof refused.message]
  },
}
`

let worker: LiveWorker
let script: string
const site = createServer((request, response) => {
  const page = `<!doctype html><html lang="en"><title>A site</title><link rel="icon" href="data:,">
<script type="module" src="/clients.js"></script><p>Clients</p></html>`
  if (request.url === '/clients.js') response.setHeader('content-type', 'text/javascript').end(script)
  else response.setHeader('content-type', 'text/html').end(page)
})
const siteUrl = (): string => `http://localhost:${(site.address() as AddressInfo).port}`

beforeAll(async () => {
  const built = await build({
    stdin: { contents: SCRIPT, resolveDir: ROOT },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  })
  script = built.outputFiles[0]?.text ?? ''
  await new Promise<void>((resolve) => site.listen(0, 'localhost', resolve))
  worker = await startLiveWorker({ CORS_ALLOW: siteUrl() })
  await publish(await writerFor(worker), await packFolder(join(ROOT, 'models/abacus')))
})
afterAll(async () => {
  site.closeAllConnections()
  site.close()
  await worker?.dispose()
})

describeInChromium('in a page of another origin', (browser) => {
  const outcome = async (name: string): Promise<unknown> => {
    const page = await browser.open(`${siteUrl()}/`)
    browser.expectProblem(/status of (400|501)|^response: [A-Z]+ \S+ (400|501)$/)
    await page.waitForFunction('globalThis.clients !== undefined')
    return page.evaluate(`globalThis.clients.${name}('${worker.url}')`)
  }

  it('@anthropic-ai/sdk streams, and reads a refusal as its own error', async () => {
    expect(await outcome('anthropic')).toEqual([expect.stringContaining('85'), true, 'string'])
  })

  it('ollama streams, and reads a refusal as its own error', async () => {
    expect(await outcome('ollama')).toEqual([expect.stringContaining('85'), true, 'number'])
  })

  it('openai streams responses, and reads a refusal as its own error', async () => {
    expect(await outcome('responses')).toEqual([expect.stringContaining('85'), true, 'string'])
  })
})
