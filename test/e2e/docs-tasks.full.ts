import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { InferenceClient } from '@huggingface/inference'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { WORKER_NAME } from '../../src/cli/local/workerd.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { filesModel } from '../fixtures/docs-models.ts'
import { documentedJson, expectLike, nth, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'
import { judgeModel } from '../fixtures/text-models.ts'

if (!haveRealModels) console.warn(`SKIPPED: what bytes.md says of magika is not tested, because ${SKIP_REASON}`)

const KEY = 'a-key-for-the-pages-0123456789'
const DATE = '2026-10-23'
const SEVEN = join(ROOT, 'models/digits/samples/seven.png')

const bytes = readPage('bytes')
const cost = readPage('cache-and-cost')
const embeddings = readPage('embeddings')
const rpc = readPage('rpc')

/** What a page's table or file of settings says under a name. */
const setting = (text: string, name: string): string => nth(new RegExp(`${name} = "([^"]*)"`).exec(text) ?? [], 1)

/** A Worker as the page of RPC prints it, and bound to Verge as it says. */
const [bindingToml = '', trustedToml = '', operatorToml = ''] = rpc.blocks('toml')
const beside = (name: string, source: string, toml: string) => ({
  name,
  script: stripTypeScriptTypes(source),
  compatibilityDate: DATE,
  serviceBindings: {
    [setting(toml, 'binding')]: {
      name: WORKER_NAME,
      entrypoint: setting(toml, 'entrypoint'),
      ...(toml.includes('props') && { props: { caller: setting(toml, 'caller') } }),
    },
  },
})
const failing = (inputs: string) => `
  const caught = async (env, text) => { ${nth(rpc.blocks('ts'), 3)} }
  export default {
    async fetch(_, env) {
      try { await caught(env, ${JSON.stringify(inputs)}); return Response.json({}) }
      catch (error) { return Response.json({ ...error, name: error.name }) }
    },
  }`

/** The examples of chats are what a Worker's `fetch` does. */
const answering = (index: number) => `
  const messages = [{ role: 'user', content: 'What is 27 plus 58?' }]
  export default { async fetch(_, env) { ${nth(rpc.blocks('ts'), index)} } }`

let docs: DocsWorker

const commandsFor = (page: { commands: readonly string[] }, path: string): string[] =>
  page.commands.filter((command) => command.includes(`$VERGE${path}`))

beforeAll(async () => {
  const example = nth(rpc.blocks('ts'), 0)
  const secret = example.replace("'digits'", "'private-digits'")
  docs = await startDocsWorker(
    { VERGE_API_KEY: KEY, RESULT_CACHE_TTL_SECONDS: '600', RPC_CALLERS: setting(operatorToml, 'RPC_CALLERS') },
    [
      beside('example', example, bindingToml),
      beside('shop', secret, trustedToml),
      beside('stranger', secret, bindingToml),
      beside('failing', failing(' '), bindingToml),
      beside('chat', answering(1), bindingToml),
      beside('events', answering(2), bindingToml),
    ],
  )
  const settings = (name: string) => readFileSync(join(ROOT, 'models', name, 'verge.json'), 'utf8')
  await docs.publish(settings('digits'), join(ROOT, 'models/digits'))
  // What it says of a run is a large model's word: our own is never over the cost limit.
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32', cost: { base: 0, perElement: 10 } }]
  await docs.publish(settings('reviews'), join(ROOT, 'models/reviews'), { artifacts })
})
afterAll(() => docs?.dispose())

it('docs/tasks.md links every page', () => {
  const index = readFileSync(join(ROOT, 'docs/tasks.md'), 'utf8')
  const linked = [...index.matchAll(/\]\(tasks\/([\w-]+\.md)\)/g)].map(([, page]) => page)
  expect([...new Set(linked)].sort()).toEqual(readdirSync(join(ROOT, 'docs/tasks')).sort())
})

it('every example of these pages is asked below, or in the tests of media and labels', () => {
  const counts = (page: string) => {
    const { commands, blocks } = readPage(page)
    return [page, commands.length, ...['json', 'js', 'ts'].map((language) => blocks(language).length)]
  }
  expect(['audio', 'bytes', 'cache-and-cost', 'embeddings', 'image', 'rpc'].map(counts)).toEqual([
    ['audio', 3, 6, 3, 0],
    ['bytes', 2, 2, 0, 0],
    ['cache-and-cost', 4, 1, 0, 0],
    ['embeddings', 4, 5, 1, 0],
    ['image', 8, 10, 0, 0],
    ['rpc', 0, 0, 0, 4],
  ])
})

describe('embeddings.md', () => {
  beforeAll(async () => {
    const shape = { layers: 1, hidden: 32, heads: 4, ffn: 64, vocabulary: 6_946, positions: 256 }
    const encoder = encoderModel(shape, 'fp32')
    const settings = nth(embeddings.blocks('json'), 0)
    await docs.publish(settings, encoder)
    await docs.publish(settings, encoder, { name: 'similar', task: 'sentence-similarity' })
    // A cross-encoder needs its task and its tokenizer, and nothing else.
    await docs.publish(
      { name: 'cross', task: 'text-ranking', tokenizer: 'tokenizer.json' },
      judgeModel(1, { the: [1] }),
    )
  })

  it('answers its requests as it prints', async () => {
    const [, vectors = '', ranked = ''] = embeddings.blocks('json')
    const answered = (await docs.ask(nth(commandsFor(embeddings, '/v1/embeddings'), 0))) as { data: unknown[] }
    expect(answered.data).toHaveLength(2)
    expectLike({ ...answered, data: answered.data.slice(0, 1) }, documentedJson(vectors))
    expectLike(await docs.ask(nth(commandsFor(embeddings, '/rerank'), 0)), documentedJson(ranked))
    const [json, plain] = commandsFor(embeddings, '/run/minilm')
    const vector = await docs.ask(json ?? '')
    expectLike(vector, Array(32).fill(0))
    expect(await docs.ask(plain ?? '')).toEqual(vector)
  })

  it('takes its bodies', async () => {
    const [, , , similar = '', ranking = ''] = embeddings.blocks('json')
    expectLike(await docs.post('/run/similar', similar), [0.9, 0.1])
    const [best] = (await docs.post('/run/cross', ranking)) as object[]
    expect(best).toMatchObject({ index: 0, score: expect.any(Number), text: 'Refunds take a week.' })
  })

  it('answers the client that it names', async () => {
    const code = nth(embeddings.blocks('js'), 0).replaceAll('https://your-worker', docs.worker.url)
    const context = createContext({ InferenceClient, key: KEY })
    const script = code.replace(/^await (client\.featureExtraction)/m, 'const vector = await $1')
    const similar = script.replace(/^await (client\.sentenceSimilarity)/m, 'const scores = await $1')
    const answers = await runInContext(`(async () => { ${similar}; return { vector, scores } })()`, context)
    expectLike(answers, { vector: Array(32).fill(0), scores: [0.9] })
  })
})

describe('bytes.md', () => {
  beforeAll(() => docs.publish(nth(bytes.blocks('json'), 0), filesModel()))

  it('answers its requests as it prints', async () => {
    writeFileSync(join(docs.folder, 'code.py'), 'import sys\n\nfor line in sys.stdin:\n    print(line.strip())\n')
    const [whole, base64] = bytes.commands
    const answer = (await docs.ask(whole ?? '')) as unknown[]
    expectLike(answer, documentedJson(nth(bytes.blocks('json'), 1)))
    expect(await docs.ask(base64 ?? '')).toEqual(answer.slice(0, 1))
  })

  it.skipIf(!haveRealModels)(`answers what magika answers (skipped only where ${SKIP_REASON})`, async () => {
    const source = join(REAL_MODELS, 'magika-standard-v3.3')
    const { target_labels_space: labels } = JSON.parse(readFileSync(join(source, 'config.min.json'), 'utf8'))
    await docs.publish(nth(bytes.blocks('json'), 0), source, { name: 'magika-real', labels })
    writeFileSync(join(docs.folder, 'code.py'), readFileSync(join(REAL_SAMPLES, 'file-types/python/code.py')))
    const [whole, base64] = bytes.commands.map((command) => command.replace('/run/magika', '/run/magika-real'))
    expectLike(await docs.ask(whole ?? ''), documentedJson(nth(bytes.blocks('json'), 1)), 0.002)
    expect(await docs.ask(base64 ?? '')).toMatchObject([{ label: 'python' }])
  })
})

describe('cache-and-cost.md', () => {
  it('is answered from the cache as it says', async () => {
    const runs = cost.commands.filter((command) => command.includes('/run/digits'))
    expect(runs).toHaveLength(3)
    const local = (command: string) => command.replaceAll('models/digits/samples/seven.png', SEVEN)
    for (const command of runs) {
      const expected = nth(/# (verge-cache: \w+)/.exec(command) ?? [], 1)
      // What was kept is there once what follows the answer is done.
      await expect
        .poll(async () => (await docs.shell(local(command))).toLowerCase(), { timeout: 5000 })
        .toContain(`${expected}\r\n`)
    }
  })

  it('refuses what costs too much in the words that it prints', async () => {
    const long = 'A quiet film that stays with you. '.repeat(365)
    writeFileSync(join(docs.folder, 'many-long-texts.json'), JSON.stringify({ inputs: Array(32).fill(long) }))
    const [head = '', body = ''] = (await docs.shell(nth(cost.commands, 0))).split('\r\n\r\n')
    const [status = '', documented = ''] = nth(cost.blocks(''), 0).split('\n\n')
    expect(head.split('\r\n')[0]).toBe(status)
    const { error } = JSON.parse(body) as { error: Record<string, unknown> }
    const { error: printed } = documentedJson(documented) as { error: Record<string, unknown> }
    expectLike(error, printed)
    expect(error).toMatchObject({ code: printed.code, limit_cost: printed.limit_cost })
    // The same sentence, but for its numbers and for what "(...)" leaves out.
    const words = (message: unknown) =>
      String(message)
        .replaceAll(/ \([^)]*\)/g, '')
        .replaceAll(/\d+/g, 'N')
    expect(words(error.message)).toBe(words(printed.message))
  })

  it('prints settings that a model may have', () => {
    for (const line of nth(cost.blocks('json'), 0).trim().split('\n')) {
      const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
      const settings = JSON.parse(line) as object
      expect(
        descriptionSchema.parse({ name: 'a', version: '1', licence: 'MIT', artifacts, ...settings }),
      ).toMatchObject(settings)
    }
  })
})

describe('rpc.md', () => {
  const call = async (from: string): Promise<unknown> => {
    const caller = await docs.worker.miniflare.getWorker(from)
    const response = await caller.fetch('http://caller/', { method: 'POST', body: readFileSync(SEVEN) })
    return response.json()
  }

  it('prints a Worker that works, bound to what is deployed', async () => {
    const deployed = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
    for (const toml of [bindingToml, trustedToml]) expect(deployed).toContain(`name = "${setting(toml, 'service')}"`)
    const documented = nth(/Response\.json\(labels\) \/\/ (.*)$/m.exec(rpc.text) ?? [], 1)
    expectLike(await call('example'), JSON.parse(documented.replace('0.99...', '0.995')), 0.0051)
  })

  it('prints chats that are answered, whole and token by token', async () => {
    const abacus = join(ROOT, 'models/abacus')
    await docs.publish(readFileSync(join(abacus, 'verge.json'), 'utf8'), abacus)
    const ask = async (name: string): Promise<Response> => {
      const caller = await docs.worker.miniflare.getWorker(name)
      return (await caller.fetch('http://caller/')) as unknown as Response
    }
    expect(await (await ask('chat')).text()).not.toBe('')
    const events = await ask('events')
    expect(events.headers.get('content-type')).toBe('text/event-stream')
    expect(await events.text()).toMatch(/^data: \{.*"chat\.completion\.chunk"[\s\S]*\ndata: \[DONE\]\n\n$/)
  })

  it('says who may, and how failures look', async () => {
    const digits = join(ROOT, 'models/digits')
    const hidden = { name: 'private-digits', visibility: 'private' }
    await docs.publish(readFileSync(join(digits, 'verge.json'), 'utf8'), digits, hidden)
    expectLike(await call('shop'), [{ label: '7', score: 0.9 }])
    await expect(call('stranger')).rejects.toThrow(/private-digits/)
    expect(await call('failing')).toMatchObject({ name: 'VergeError', code: 'empty_input', status: 400 })
  })
})
