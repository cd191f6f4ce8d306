import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import type { CodeContext, Snippet } from '../../page/code/request.ts'
import { snippets } from '../../page/code/snippets.ts'
import type { PanelRequest } from '../../page/panels/request.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { MEDIA_MODELS } from '../fixtures/media-models.ts'
import { readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-key-of-the-operator-0123456789'
const SEVEN = readFileSync(join(ROOT, 'models/digits/samples/seven.png'))
/** The version of a model of the repository. */
function versionOf(model: string): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'models', model, 'verge.json'), 'utf8')) as { version: string }
  return version
}

const NASTY = `It's "odd": $HOME \`id\` \\n\n— a line, and 💡.`

let docs: DocsWorker
let folder: string

beforeAll(async () => {
  docs = await startDocsWorker({ VERGE_API_KEY: KEY })
  for (const name of ['digits', 'reviews', 'abacus']) {
    const path = join(ROOT, 'models', name)
    await docs.publish(readFileSync(join(path, 'verge.json'), 'utf8'), path)
  }
  await docs.publish(readFileSync(join(ROOT, 'models/reviews/verge.json'), 'utf8'), join(ROOT, 'models/reviews'), {
    name: 'secret',
    visibility: 'private',
  })
  const shape = { layers: 1, hidden: 32, heads: 4, ffn: 64, vocabulary: 6_946, positions: 256 }
  await docs.publish(readPage('embeddings').blocks('json')[0] ?? '', encoderModel(shape, 'fp32'))
  const negative = MEDIA_MODELS.find(({ name }) => name === 'negative')
  if (negative === undefined) throw new Error('There is no model that makes pictures.')
  const { extra, model, signature } = negative
  await publishModel(await writerFor(docs.worker), 'negative', model, signature, { extra })
  folder = mkdtempSync(join(tmpdir(), 'verge-code-'))
  copyFileSync(join(ROOT, 'models/digits/samples/seven.png'), join(folder, 'seven.png'))
  mkdirSync(join(folder, 'node_modules/@anthropic-ai'), { recursive: true })
  for (const name of ['openai', '@anthropic-ai/sdk', 'ollama']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  writeFileSync(join(folder, 'client.mjs'), await (await fetch(`${docs.worker.url}/client.js`)).text())
  writeFileSync(join(folder, 'openai.py'), PYTHON_STAND_IN)
})
afterAll(async () => {
  await docs?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** What a page has where a visitor chose a file. */
const CHOSEN = `
  import { openAsBlob } from 'node:fs'
  const chosen = await openAsBlob('seven.png', { type: 'image/png' })
  const document = { querySelector: () => ({ files: [chosen] }) }
`

/** What the snippets use of OpenAI's package for Python, which is not among the dependencies: the same calls and requests. */
const PYTHON_STAND_IN = `
import json, urllib.parse, urllib.request
from types import SimpleNamespace

class Fields(SimpleNamespace):
    # A field that an answer leaves out is None.
    def __getattr__(self, name):
        return None

def as_object(text):
    return json.loads(text, object_hook=lambda fields: Fields(**fields))

class Resource:
    def __init__(self, client, path):
        self.client, self.path = client, path

    def create(self, *, extra_body=None, **fields):
        query = urllib.parse.urlencode(self.client.query)
        url = self.client.base_url + self.path + ("?" + query if query else "")
        headers = {"content-type": "application/json", "authorization": "Bearer " + self.client.api_key, **self.client.headers}
        body = json.dumps({**fields, **(extra_body or {})}).encode()
        opened = urllib.request.urlopen(urllib.request.Request(url, body, headers))
        if not fields.get("stream"):
            return as_object(opened.read())
        return (as_object(line[6:]) for line in map(bytes.decode, opened) if line.startswith("data: {"))

class OpenAI:
    def __init__(self, *, base_url, api_key, default_query=None, default_headers=None):
        self.base_url, self.api_key = base_url, api_key
        self.query, self.headers = default_query or {}, default_headers or {}
        self.chat = SimpleNamespace(completions=Resource(self, "/chat/completions"))
        self.completions = Resource(self, "/completions")
        self.embeddings = Resource(self, "/embeddings")
`

/** Runs code as its reader would, with the key where the placeholder stands, and returns what it prints. */
async function printed({ code, language }: Snippet): Promise<string> {
  const real = code.replaceAll('YOUR_VERGE_API_KEY', KEY)
  const env = { PATH: process.env.PATH, HOME: folder, no_proxy: '*' }
  const run = async (program: string, args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(program, args, { cwd: folder, env, timeout: 110_000, maxBuffer: 1 << 24 })).stdout
  if (language === 'sh') return run('sh', ['-euc', real])
  if (language === 'py') return run('python3', ['-c', real])
  // Node loads modules from files alone, and prints no long list whole.
  const whole =
    "import { inspect } from 'node:util'; Object.assign(inspect.defaultOptions, { depth: 9, maxArrayLength: null })"
  const module = real.replaceAll(`'${docs.worker.url}/client.js'`, "'./client.mjs'")
  writeFileSync(join(folder, 'example.mjs'), `${whole}\n${CHOSEN}\n${module}`)
  return run(process.execPath, ['example.mjs'])
}

/** What each snippet for a request prints. */
async function all(
  request: PanelRequest,
  model: string,
  more: Partial<CodeContext> = {},
): Promise<Record<string, string>> {
  const made = snippets(request, { url: docs.worker.url, model, ...more })
  const outputs: Record<string, string> = {}
  for (const snippet of made) {
    outputs[snippet.id] = await printed(snippet).catch((error: unknown) => {
      throw new Error(`${snippet.id}:\n${snippet.code}\n${String(error)}`)
    })
  }
  return outputs
}

describe('the code for a request, run as it is printed', () => {
  it('of a text is answered as the page was, by curl, fetch and the client', async () => {
    const request = { method: 'run', input: NASTY, parameters: { top_k: 1 } } as const
    const answer = await docs.post('/run/reviews', JSON.stringify({ inputs: NASTY, parameters: { top_k: 1 } }))
    const [{ label, score }] = answer as [{ label: string; score: number }]
    const { client = '', curl = '', fetch = '', ...others } = await all(request, 'reviews')
    expect(others).toEqual({})
    expect(JSON.parse(curl)).toEqual(answer)
    const line = `[ { label: '${label}', score: ${score} } ]`
    expect([fetch.trim(), client.trim()]).toEqual([line, line])
  })

  it('of a picture sends the file, and names no parameter twice', async () => {
    const input = new File([SEVEN], 'seven.png', { type: 'image/png' })
    const outputs = await all({ method: 'run', input, parameters: { top_k: 1 } }, 'digits', {
      version: versionOf('digits'),
      place: 'edge',
    })
    expect(Object.keys(outputs)).toEqual(['curl', 'fetch', 'client'])
    expect(JSON.parse(outputs.curl ?? '')).toEqual([{ label: '7', score: expect.any(Number) as number }])
    for (const id of ['fetch', 'client']) expect(outputs[id]).toMatch(/^\[ \{ label: '7', score: [\d.]+ \} \]$/m)
  })

  it('of a picture that is answered by a picture keeps that one', async () => {
    const input = new File([SEVEN], 'seven.png', { type: 'image/png' })
    const outputs = await all({ method: 'run', input }, 'negative', { picture: true })
    const response = await fetch(`${docs.worker.url}/run/negative`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: SEVEN,
    })
    const picture = Buffer.from(await response.arrayBuffer())
    expect(picture.subarray(1, 4).toString()).toBe('PNG')
    expect(readFileSync(join(folder, 'answer.png')).equals(picture)).toBe(true)
    for (const id of ['fetch', 'client']) {
      expect(outputs[id]).toMatch(new RegExp(`Blob \\{ size: ${picture.length}, type: 'image/png' \\}`))
    }
  })

  it('of a chat streams the same answer in every language', async () => {
    const input = [
      { role: 'system', content: 'You are abacus.' },
      { role: 'user', content: 'What is 27 plus 58?' },
    ]
    const request = { method: 'chat', input, parameters: { temperature: 0, max_tokens: 32, top_k: 4 } } as const
    const { curl = '', ...outputs } = await all(request, 'abacus', { version: versionOf('abacus') })
    expect(Object.keys(outputs)).toEqual(['fetch', 'client', 'openai', 'python', 'anthropic'])
    const events = [...curl.matchAll(/^data: (\{.*\})$/gm)].map(([, json = '']) => JSON.parse(json) as StreamedChunk)
    expect(events.map(({ choices }) => choices[0]?.delta?.content ?? '').join('')).toBe('27 plus 58 is 85.')
    expect(events.length).toBeGreaterThan(5)
    for (const [id, output] of Object.entries(outputs)) expect(output, id).toContain('27 plus 58 is 85.')
  })

  it('of a chat with the live version is asked for by the clients of others, as far as they have words for it', async () => {
    const input = [{ role: 'user', content: NASTY }]
    const made = async (parameters: object, place?: 'edge') =>
      all({ method: 'chat', input, parameters: { max_tokens: 9, ...parameters } }, 'abacus', { place })
    const { anthropic, client, ollama } = await made({ temperature: 0, stop: ['!'] }, 'edge')
    expect([anthropic, ollama]).toEqual([client, client])
    const drawn = await made({ seed: 3, repetition_penalty: 1.1 })
    expect(drawn.ollama).toBe(drawn.client)
    expect(drawn.anthropic).toBeUndefined()
  })

  it('of a text to continue', async () => {
    const request = {
      method: 'complete',
      input: '27 plus 58 is',
      parameters: { temperature: 0, stop: ['.'], min_p: 0.1 },
    } as const
    const { curl = '', ...outputs } = await all(request, 'abacus')
    expect(Object.keys(outputs)).toEqual(['fetch', 'client', 'openai', 'python', 'ollama'])
    expect(curl).toMatch(/"text":\s*"8"/)
    for (const [id, output] of Object.entries(outputs)) expect(output, id).toMatch(/85/)
  })

  it('of vectors, which are the same numbers', async () => {
    const outputs = await all({ method: 'embed', input: ['A refund.', NASTY], parameters: { dimensions: 4 } }, 'minilm')
    expect(Object.keys(outputs)).toEqual(['curl', 'fetch', 'client', 'openai', 'python'])
    const { data } = JSON.parse(outputs.curl ?? '') as { data: { embedding: number[] }[] }
    const vectors = data.map(({ embedding }) => embedding)
    expect(vectors.map(({ length }) => length)).toEqual([4, 4])
    for (const [id, output] of Object.entries(outputs)) {
      if (id === 'curl') continue
      const numbers = [...output.matchAll(/-?\d\.\d+(?:e-?\d+)?/g)].map(([number]) => Number(number))
      expect(numbers.length, id).toBe(8)
      for (const [i, value] of vectors.flat().entries())
        expect(Math.abs((numbers[i] ?? Number.NaN) - value), id).toBeLessThan(1e-6)
    }
  })

  it('of documents to rank', async () => {
    const documents = ['Refunds are paid within a week.', NASTY]
    const request = { method: 'rerank', input: { query: 'How do I get my money back?', documents } } as const
    const outputs = await all(request, 'minilm')
    expect(Object.keys(outputs)).toEqual(['curl', 'fetch', 'client'])
    const { results } = JSON.parse(outputs.curl ?? '') as { results: { index: number }[] }
    const order = results.map(({ index }) => index)
    for (const id of ['fetch', 'client']) {
      expect(
        [...(outputs[id] ?? '').matchAll(/index: (\d)/g)].map(([, index]) => Number(index)),
        id,
      ).toEqual(order)
    }
  })

  it('of tensors', async () => {
    const data = Float32Array.from({ length: 784 }, (_, i) => (i % 28 === 14 ? 1 : 0))
    const outputs = await all({ method: 'infer', input: { image: { shape: [1, 1, 28, 28], data } } }, 'digits')
    expect(Object.keys(outputs)).toEqual(['curl', 'fetch', 'client'])
    const answer = JSON.parse(outputs.curl ?? '') as { outputs: [{ data: number[] }] }
    const [{ data: logits }] = answer.outputs
    expect(logits).toHaveLength(10)
    for (const id of ['fetch', 'client']) {
      const numbers = [...(outputs[id] ?? '').matchAll(/-?\d+\.\d+/g)].map(([number]) => Number(number))
      expect(numbers, id).toHaveLength(10)
      for (const [i, value] of logits.entries()) expect(numbers[i], id).toBeCloseTo(value, 4)
    }
  })

  it('of a private model has a placeholder for the key, and works with the key in its place', async () => {
    const request = { method: 'run', input: 'A quiet film that stays with you.' } as const
    const outputs = await all(request, 'secret', { needsKey: true })
    for (const [id, output] of Object.entries(outputs)) expect(output, id).toContain('positive')
    for (const { code } of snippets(request, { url: docs.worker.url, model: 'secret', needsKey: true })) {
      expect(code).toContain('YOUR_VERGE_API_KEY')
    }
  })

  it('of a long text is a file for curl', async () => {
    const input = 'A fine film. '.repeat(4000)
    const [curl] = snippets({ method: 'run', input }, { url: docs.worker.url, model: 'reviews' })
    expect(curl?.code).toContain('request.json')
    expect(curl?.code.length).toBeLessThan(400)
    // What the page offers to save, under this name.
    expect(curl?.body?.name).toBe('request.json')
    expect(JSON.parse(curl?.body?.text ?? '')).toEqual({ inputs: input })
    writeFileSync(join(folder, 'request.json'), curl?.body?.text ?? '')
    expect(await printed(curl as Snippet)).toContain('positive')
  })
})

interface StreamedChunk {
  readonly choices: readonly { readonly delta?: { readonly content?: string } }[]
}
