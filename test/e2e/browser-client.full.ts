import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { multilingualModel } from '../../bench/models/multilingual.ts'
import type { StoredModels } from '../../src/browser/messages.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { inventedTexts, inventedWords } from '../../synthetic/vocabularies.ts'
import { type Asked, type BrowserPages, startBrowserPages, REVIEW as TEXT } from '../fixtures/node/browser-pages.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { readPage } from '../fixtures/node/docs.ts'
import { FEW_LANGUAGES } from '../fixtures/node/few-languages.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const SEVEN = readFileSync(join(ROOT, 'models/digits/samples/seven.png'))
const OPTIONS = { placement: 'browser' }

let pages: BrowserPages
let docs: BrowserPages['docs']
let proxy: BrowserPages['proxy']

beforeAll(async () => {
  pages = await startBrowserPages()
  docs = pages.docs
  proxy = pages.proxy
  const shape = { layers: 1, hidden: 32, heads: 4, ffn: 64, vocabulary: 6_946, positions: 256 }
  await docs.publish(readPage('embeddings').blocks('json')[0] ?? '', encoderModel(shape, 'fp32'), {
    downloadable: true,
  })
  const digits = join(ROOT, 'models/digits')
  const undownloadable = { name: 'kept-here', downloadable: false }
  await docs.publish(readFileSync(join(digits, 'verge.json'), 'utf8'), digits, undownloadable)
})
beforeEach(() => pages.reset())
afterAll(() => pages?.dispose())

describeInChromium('the browser client', (browser) => {
  it('answers here what the Worker answers: texts, pictures, vectors and tensors', async () => {
    const page = await pages.open(browser)
    const pixels = Array.from({ length: 784 }, (_, i) => (i % 13) / 13)
    const here = await pages.inPage<Record<string, unknown> & { seen: object[] }>(
      page,
      OPTIONS,
      `const text = await client.classify('reviews', ${JSON.stringify(TEXT)}, { onAnswer })
       const texts = await client.run('reviews', ['Dull.', 'Great.'], { parameters: { top_k: 1 }, onAnswer })
       const picture = new Blob([Uint8Array.from(${JSON.stringify([...SEVEN])})], { type: 'image/png' })
       const digits = await client.classify('digits', picture, { parameters: { top_k: 2 }, onAnswer })
       const bytes = await client.classify('digits', new Uint8Array(await picture.arrayBuffer()), { onAnswer })
       const stream = await client.classify('digits', picture.stream(), { onAnswer })
       const vectors = await client.embed('minilm', ['One.', 'Another text.'], { onAnswer })
       const image = { shape: [1, 1, 28, 28], data: Float32Array.from(${JSON.stringify(pixels)}) }
       const { outputs } = await client.infer('digits', { image }, { onAnswer })
       return { text, texts, digits, bytes, stream, vectors: vectors.map((one) => [...one]), logits: [...outputs.logits.data], seen }`,
    )
    const { data } = (await docs.post(
      '/v1/embeddings',
      JSON.stringify({ model: 'minilm', input: ['One.', 'Another text.'] }),
    )) as { data: { embedding: number[] }[] }
    const { outputs } = (await docs.post(
      '/v2/models/digits/infer',
      JSON.stringify({ inputs: [{ name: 'image', shape: [1, 1, 28, 28], datatype: 'FP32', data: pixels }] }),
    )) as { outputs: { data: number[] }[] }
    expect(here.text).toEqual(await pages.expected())
    const parameters = { top_k: 1 }
    expect(here.texts).toEqual(
      await docs.post('/run/reviews', JSON.stringify({ inputs: ['Dull.', 'Great.'], parameters })),
    )
    expect(here.digits).toEqual(await docs.post('/run/digits?top_k=2', new Uint8Array(SEVEN), 'image/png'))
    const all = await docs.post('/run/digits', new Uint8Array(SEVEN), 'image/png')
    expect([here.bytes, here.stream]).toEqual([all, all])
    expect(here.vectors).toEqual(data.map(({ embedding }) => embedding.map(Math.fround)))
    expect(here.logits).toEqual(outputs[0]?.data.map(Math.fround))
    expect(here.seen).toHaveLength(7)
    for (const info of here.seen) expect(info).toMatchObject({ place: 'browser', reason: 'asked-for', status: 200 })
    expect(here.seen[0]).toMatchObject({ engine: 'verge', artifact: 'verge-q8', model: 'reviews@3' })
    expect(proxy.seen.filter(({ method }) => method === 'POST')).toEqual([])
  })

  it('works as docs/browser.md prints it', async () => {
    const text = readFileSync(join(ROOT, 'docs/browser.md'), 'utf8')
    const html = /^```html\n(.*?)^```$/ms.exec(text)?.[1] ?? ''
    const printed = html.replaceAll('http://127.0.0.1:8787', proxy.url)
    proxy.fault = (path) =>
      path === '/page' ? { kind: 'page', html: `<!doctype html><link rel="icon" href="data:,">${printed}` } : undefined
    const page = await pages.open(browser)
    await expect.poll(() => page.locator('body').innerText()).toContain('positive')
  })

  it('refuses in the words of the Worker', async () => {
    const page = await pages.open(browser, [/403/])
    const failures = await pages.inPage<unknown[]>(
      page,
      OPTIONS,
      `const failure = (promise) => promise.then(() => 'no failure', (error) => [error instanceof VergeError, error.code, error.status, error.message])
       return [
         await failure(client.classify('reviews', 7)),
         await failure(client.run('reviews', ${JSON.stringify(TEXT)}, { parameters: { topk: 1 } })),
         await failure(client.classify('digits', new Blob(['not a picture'], { type: 'image/png' }))),
         await failure(client.classify('digits', new Blob(['x'], { type: 'video/mp4' }))),
         await failure(client.classify('kept-here', 'a text')),
       ]`,
    )
    const refusal = async (path: string, body: string, type = 'application/json') => {
      const response = await fetch(docs.worker.url + path, { method: 'POST', body, headers: { 'content-type': type } })
      const { error } = (await response.json()) as { error: { code: string; message: string } }
      return [true, error.code, response.status, error.message]
    }
    expect(failures.slice(0, 4)).toEqual([
      await refusal('/run/reviews', JSON.stringify({ inputs: 7 })),
      await refusal('/run/reviews', JSON.stringify({ inputs: TEXT, parameters: { topk: 1 } })),
      await refusal('/run/digits', 'not a picture', 'image/png'),
      await refusal('/run/digits', 'x', 'video/mp4'),
    ])
    expect(failures[4]).toEqual([true, 'not_downloadable', 403, expect.stringMatching(/kept-here/)])
  })

  it('downloads no weights on the second visit', async () => {
    const ask = `await client.prepare('reviews'); return [await ask(), (await client.storage()).models, progress.at(-1)]`
    const first = await pages.open(browser)
    const [one, models, progress] = await pages.inPage<[Asked, object[], object]>(first, OPTIONS, ask)
    const downloads = pages.weights().length
    expect(downloads).toBeGreaterThan(0)
    expect(models).toEqual([{ model: 'reviews', version: '3', bytes: expect.any(Number), usedAt: expect.any(Number) }])
    expect(progress).toMatchObject({ model: 'reviews', version: '3' })
    await first.close()
    const [two] = await pages.inPage<[Asked]>(await pages.open(browser), OPTIONS, ask)
    expect([one.answer, two.answer]).toEqual([await pages.expected(), await pages.expected()])
    expect(pages.weights()).toHaveLength(downloads)
  })

  it('reads rows of tables as texts need them, and none of them again on the second visit', async () => {
    const { description, files } = multilingualModel(FEW_LANGUAGES, 'paged', { engines: ['verge'], hotRows: 100 })
    const model = await pack({ ...description, pages: 'on', downloadable: true, visibility: 'public' }, '.', files)
    await publish(await writerFor(docs.worker), model)
    const [text = '', other = ''] = inventedTexts(inventedWords(FEW_LANGUAGES.vocabulary), 2)
    const ask = `return client.embed('paged', ${JSON.stringify([text, other])}).then((all) => all.map((one) => [...one]))`
    const first = await pages.open(browser)
    const here = await pages.inPage<number[][]>(first, OPTIONS, ask)
    const body = JSON.stringify({ model: 'paged', input: [text, other] })
    const { data } = (await docs.post('/v1/embeddings', body)) as { data: { embedding: number[] }[] }
    expect(here).toEqual(data.map(({ embedding }) => embedding.map(Math.fround)))
    const ranges = pages.weights().filter((range) => range !== undefined)
    expect(ranges.length).toBeGreaterThan(0)
    const { models, usedBytes } = await pages.inPage<StoredModels>(first, OPTIONS, 'return client.storage()')
    expect(models.map(({ bytes, model }) => [model, bytes])).toEqual([['paged', usedBytes]])
    await first.close()
    proxy.seen.length = 0
    expect(await pages.inPage(await pages.open(browser), OPTIONS, ask)).toEqual(here)
    expect(pages.weights()).toEqual([])
  })

  it('forgets what it is told to', async () => {
    const page = await pages.open(browser)
    const usage = await pages.inPage(
      page,
      OPTIONS,
      `await client.prepare('reviews'); await client.prepare('digits')
       await client.clear('reviews')
       const one = await client.storage()
       await client.clear()
       const none = await client.storage()
       return { kind: one.kind, models: one.models.map(({ model }) => model), used: none.usedBytes, quota: none.quotaBytes, answer: (await ask()).answer }`,
    )
    expect(usage).toEqual({
      kind: 'opfs',
      models: ['digits'],
      used: 0,
      quota: 256 << 20,
      answer: await pages.expected(),
    })
  })

  it('goes on where a tab was closed in the middle of a download', async () => {
    pages.spoilWeights(() => ({ kind: 'slow', bytes: 20_000, ms: 40 }))
    const first = await pages.open(browser, [/ERR_ABORTED/])
    await pages.inPage(first, OPTIONS, `client.prepare('reviews').catch(() => {})`)
    await expect
      .poll(() => first.evaluate(`progress.at(-1)?.loadedBytes ?? 0`), { interval: 20 })
      .toBeGreaterThan(200_000)
    await first.close()
    proxy.seen.length = 0
    const { answer } = await pages.inPage<Asked>(await pages.open(browser), OPTIONS, 'return ask()')
    expect(answer).toEqual(await pages.expected())
    expect(pages.weights().some((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true)
  })

  it('downloads once for two tabs, and both answer', async () => {
    pages.spoilWeights(() => ({ kind: 'slow', bytes: 50_000, ms: 20 }))
    const tabs = [await pages.open(browser), await pages.open(browser)]
    const answers = await Promise.all(tabs.map((page) => pages.inPage<Asked>(page, OPTIONS, 'return ask()')))
    for (const { answer } of answers) expect(answer).toEqual(await pages.expected())
    const paths = proxy.seen.map(({ path }) => path).filter((path) => path.startsWith('/weights/'))
    expect(new Set(paths).size).toBe(paths.length)
  })

  it('finds damaged files, and downloads them again', async () => {
    const first = await pages.open(browser)
    await pages.inPage(first, OPTIONS, `await client.prepare('reviews')`)
    const damaged = await first.evaluate(`(async () => {
      client.dispose()
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('verge-weights')
      let count = 0
      for await (const [name, handle] of folder.entries()) {
        if (!name.startsWith('chunk-')) continue
        const writable = await handle.createWritable({ keepExistingData: true })
        await writable.write({ type: 'write', position: 1000, data: new Uint8Array([1, 2, 3, 4, 5]) })
        await writable.close()
        count++
      }
      return count
    })()`)
    await first.close()
    const page = await pages.open(browser)
    const { answer } = await pages.inPage<Asked>(page, OPTIONS, 'return ask()')
    expect(answer).toEqual(await pages.expected())
    expect(await page.evaluate('notices')).toEqual(Array(damaged).fill({ type: 'damaged', model: 'reviews' }))
  })

  it('goes on in memory without room, and says so', async () => {
    const page = await pages.open(browser)
    const { answer } = await pages.inPage<Asked>(page, { ...OPTIONS, quotaBytes: 1000 }, 'return ask()')
    expect(answer).toEqual(await pages.expected())
    expect(await page.evaluate('notices')).toEqual([
      { type: 'not-kept', model: 'reviews', reason: expect.stringMatching(/1000/) },
    ])
    expect(await pages.inPage(page, {}, 'return (await client.storage()).usedBytes')).toBe(0)
  })

  it('goes on in memory when the browser refuses to store more', async () => {
    const page = await pages.open(browser)
    const session = await page.context().newCDPSession(page)
    await session.send('Storage.overrideQuotaForOrigin', { origin: proxy.url, quotaSize: 100_000 })
    const { answer } = await pages.inPage<Asked>(page, OPTIONS, 'return ask()')
    expect(answer).toEqual(await pages.expected())
    expect(await page.evaluate('notices')).toMatchObject([{ type: 'not-kept', model: 'reviews' }])
  })

  it('never answers from weights that were changed on the way', async () => {
    pages.spoilWeights(() => ({ kind: 'flip', at: 12_345 }))
    const page = await pages.open(browser)
    const codes = await pages.inPage(
      page,
      OPTIONS,
      `const codes = []
       for (let i = 0; i < 2; i++) await ask().catch(({ code }) => codes.push(code))
       return codes`,
    )
    expect(codes).toEqual(['weights_corrupt', 'weights_corrupt'])
    // The other file may still be on its way.
    await expect.poll(() => pages.inPage(page, OPTIONS, 'return (await client.storage()).usedBytes')).toBe(0)
  })

  it('stops a download when its caller leaves', async () => {
    pages.spoilWeights(() => ({ kind: 'slow', bytes: 1_000, ms: 50 }))
    const page = await pages.open(browser, [/ERR_ABORTED/])
    const code = await pages.inPage(
      page,
      OPTIONS,
      `const leaving = new AbortController()
       const begun = setInterval(() => { if (progress.length > 0) leaving.abort() }, 10)
       leaving.signal.addEventListener('abort', () => clearInterval(begun))
       return ask({ signal: leaving.signal }).catch(({ code }) => code)`,
    )
    expect(code).toBe('cancelled')
    expect(await page.evaluate('progress.length')).toBeGreaterThan(0)
    // At this speed the whole of it would take most of a minute.
    const downloads = (): string[] => [...proxy.open].filter((path) => path.startsWith('/weights/'))
    await expect.poll(downloads).toEqual([])
  })
})
