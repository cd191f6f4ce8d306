import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Connection, parseAnswer, requestBytes } from '../../bench/lib/connection.ts'
import { figures } from '../../bench/lib/figures.ts'
import { plot } from '../../bench/lib/plot.ts'
import { withLastRun } from '../../bench/lib/readme.ts'
import { describeRun, tables } from '../../bench/lib/report.ts'
import type { BenchResult } from '../../bench/lib/result.ts'
import { summarise } from '../../bench/lib/stats.ts'
import { markdown, plainText } from '../../bench/lib/table.ts'
import type { Way } from '../../bench/lib/ways.ts'
import type { ColdRow } from '../../bench/measures/cold.ts'
import type { ColdReadsRow } from '../../bench/measures/cold-reads.ts'
import type { LargestRow } from '../../bench/measures/largest.ts'
import type { ColdPagesRow, PagesResult } from '../../bench/measures/pages.ts'
import type { ReleasesRow } from '../../bench/measures/releases.ts'
import type { EngineName, WarmRow } from '../../bench/measures/warm.ts'
import { cnnModel } from '../../bench/models/cnn.ts'
import { type EncoderShape, encoderModel } from '../../bench/models/encoder.ts'
import { vitModel } from '../../bench/models/vit.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { median } from '../../src/cli/statistics.ts'
import { normals } from '../../synthetic/random.ts'

describe("the benchmark's statistics", () => {
  it('give median, 95th percentile and median absolute deviation', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    const values = [...Array.from({ length: 19 }, (_, index) => index + 1), 1000]
    expect(summarise(values)).toEqual({ count: 20, p50: 10.5, p95: 19, mad: 5, min: 1 })
  })
})

describe("the benchmark's HTTP client", () => {
  const large = Buffer.alloc(3_000_000, 'abc')
  const server = createServer((request, response) => {
    if (request.url === '/chunked') {
      response.write('first ')
      setTimeout(() => response.end('0\r\n\r\nsecond'), 20)
    } else if (request.url === '/large') response.end(large)
    else if (request.url === '/close') request.socket.destroy()
    else {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => response.writeHead(429, { 'x-seen': 'yes' }).end(Buffer.concat(parts)))
    }
  })
  let url = ''

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => server.close())

  it('keeps one connection for bodies of known length, in chunks, and in many parts', async () => {
    const connection = await Connection.open(url)
    try {
      const echo = await connection.exchange(requestBytes({ method: 'POST', path: '/', body: 'žluťoučký' }))
      expect([echo.status, echo.headers.get('x-seen'), echo.body.toString()]).toEqual([429, 'yes', 'žluťoučký'])
      const chunked = await connection.exchange(requestBytes({ path: '/chunked' }))
      expect(chunked.body.toString()).toBe('first 0\r\n\r\nsecond')
      const whole = await connection.exchange(requestBytes({ path: '/large' }))
      expect(whole.body.equals(large)).toBe(true)
    } finally {
      connection.close()
    }
  })

  it('says so when the server hangs up', async () => {
    const connection = await Connection.open(url)
    await expect(connection.exchange(requestBytes({ path: '/close' }))).rejects.toThrow(/closed|ECONNRESET/)
    connection.close()
  })

  it('asks again on a connection that the server has closed because it was idle', async () => {
    const kept = server.keepAliveTimeout
    server.keepAliveTimeout = 100
    const connection = await Connection.open(url)
    try {
      for (const body of ['one', 'two']) {
        const answer = await connection.exchange(requestBytes({ method: 'POST', path: '/', body }))
        expect(answer.body.toString()).toBe(body)
        if (body === 'one') await new Promise((resolve) => setTimeout(resolve, 3000))
      }
    } finally {
      connection.close()
      server.keepAliveTimeout = kept
    }
  })

  it('sends load to this machine alone', async () => {
    await expect(Connection.open('http://192.0.2.1:80')).rejects.toThrow('this machine alone')
  })

  it('takes an answer apart wherever its bytes were cut', () => {
    const bytes = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n')
    for (let cut = 1; cut < bytes.length; cut++) {
      const parts = [bytes.subarray(0, cut)]
      expect(parseAnswer(parts)).toBeNull()
      parts.push(bytes.subarray(cut))
      expect(parseAnswer(parts)?.body.toString()).toBe('abcdef')
    }
  })
})

describe("the benchmark's models", () => {
  const SMALL: EncoderShape = { layers: 2, hidden: 384, heads: 4, ffn: 512, vocabulary: 500, positions: 64 }
  const TOKENS = 24

  it('are made of the same numbers everywhere, of the deviation asked for', () => {
    const values = normals('a weight', 100_000, 0.02)
    expect(sha256(new Uint8Array(values.buffer))).toBe(
      'c5a7bb3d8e585cc9fe6a76f7e10a59cff77d5529cfe94fe820ca9fe92c1d4873',
    )
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
    expect(Math.abs(mean)).toBeLessThan(0.0005)
    expect(Math.sqrt(variance)).toBeCloseTo(0.02, 3)
    expect(normals('another weight', 4, 0.02)).not.toEqual(values.slice(0, 4))
  })

  async function hiddenStates(model: Uint8Array, masked: number): Promise<Float32Array> {
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 })
    const ids = BigInt64Array.from({ length: TOKENS }, (_, index) => BigInt((index * 37) % SMALL.vocabulary))
    const mask = new BigInt64Array(TOKENS).fill(1n).fill(0n, TOKENS - masked)
    const { last_hidden_state: output } = await session.run({
      input_ids: new Tensor('int64', ids, [1, TOKENS]),
      attention_mask: new Tensor('int64', mask, [1, TOKENS]),
    })
    await session.release()
    expect(output?.dims).toEqual([1, TOKENS, SMALL.hidden])
    return output?.data as Float32Array
  }

  function cosine(a: Float32Array, b: Float32Array): number {
    let [ab, aa, bb] = [0, 0, 0]
    for (let index = 0; index < a.length; index++) {
      const [x, y] = [a[index] ?? 0, b[index] ?? 0]
      ab += x * y
      aa += x * x
      bb += y * y
    }
    return ab / Math.sqrt(aa * bb)
  }

  it('compute in int8 nearly what they compute in fp32, with channels that stand out and a mask that masks', async () => {
    const fp32 = encoderModel(SMALL, 'fp32')
    const int8 = encoderModel(SMALL, 'int8')
    expect(int8.length).toBeLessThan(fp32.length / 3)
    const reference = await hiddenStates(fp32, 0)
    const quantized = await hiddenStates(int8, 0)
    expect(cosine(quantized, reference)).toBeGreaterThan(0.999)
    // Channels before the first that stands out, which would outweigh all others.
    const quiet = (states: Float32Array, token: number): Float32Array =>
      states.slice(token * SMALL.hidden, token * SMALL.hidden + 127)
    for (let token = 0; token < TOKENS; token++) {
      expect(cosine(quiet(quantized, token), quiet(reference, token))).toBeGreaterThan(0.99)
    }

    // Two wrong models may agree: the states must have outliers, and must differ from token to token and by the mask.
    expect(Math.max(...reference.map(Math.abs))).toBeGreaterThan(8 * median([...reference].map(Math.abs)))
    expect(cosine(quiet(reference, 0), quiet(reference, 1))).toBeLessThan(0.95)
    const masked = await hiddenStates(fp32, 8)
    expect(quiet(masked, 0)).not.toEqual(quiet(reference, 0))
  })

  it('are a vision transformer that answers in int8 nearly what it answers in fp32, other things to other pictures', async () => {
    const models = { fp32: vitModel('fp32'), int8: vitModel('int8') }
    expect(models.int8.length).toBeLessThan(models.fp32.length / 3.5)
    const logits = async (model: Uint8Array, name: string, batch: number): Promise<Float32Array> => {
      const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 })
      const pixels = normals(name, batch * 3 * 224 * 224, 1)
      const { logits } = await session.run({ pixel_values: new Tensor('float32', pixels, [batch, 3, 224, 224]) })
      await session.release()
      expect(logits?.dims).toEqual([batch, 1000])
      return logits?.data as Float32Array
    }
    const reference = await logits(models.fp32, 'one picture', 1)
    expect(cosine(await logits(models.int8, 'one picture', 1), reference)).toBeGreaterThan(0.995)
    expect(cosine(await logits(models.fp32, 'another picture', 1), reference)).toBeLessThan(0.999)
    // The first of two pictures is the one.
    const both = await logits(models.fp32, 'one picture', 2)
    expect(cosine(both.slice(0, 1000), reference)).toBeGreaterThan(0.999999)
  })

  it('are a network that answers in int8 nearly what it answers in fp32, other things to other pictures', async () => {
    const models = { fp32: cnnModel('fp32'), int8: cnnModel('int8') }
    expect(models.int8.length).toBeLessThan(models.fp32.length / 3.5)
    const logits = async (model: Uint8Array, name: string): Promise<Float32Array> => {
      const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 })
      const image = new Tensor('float32', normals(name, 3 * 224 * 224, 1), [1, 3, 224, 224])
      const { logits } = await session.run({ image })
      await session.release()
      return logits?.data as Float32Array
    }
    const reference = await logits(models.fp32, 'one picture')
    expect(cosine(await logits(models.int8, 'one picture'), reference)).toBeGreaterThan(0.995)
    expect(await logits(models.fp32, 'another picture')).not.toEqual(reference)
  })
})

describe("the benchmark's report", () => {
  const time = { count: 5, p50: 10, p95: 12, mad: 1, min: 9 }
  const load = {
    perSecond: 800,
    answered: 800,
    refused: 3,
    failed: 0,
    p50: 5,
    p95: 9,
    p99: 11,
    cpuMsEach: 1,
    clientBusy: 0.1,
  }
  const cold = (model: string, way: Way, answerMs: number): ColdRow => ({
    model,
    way,
    process: time,
    isolate: time,
    engine: time,
    fetch: time,
    session: time,
    fetchAndSession: time,
    firstRun: time,
    total: time,
    isolateCpu: time,
    answerCpu: { ...time, p50: answerMs },
    bytesFetched: 20e6,
    heapBytes: 36.2e6,
    emptyHeapBytes: 16e6,
    residentBytes: 200e6,
  })
  const warm = (model: string, size: string, engine: EngineName, p50: number): WarmRow => ({
    model,
    size,
    engine,
    time: { ...time, p50 },
    insideMs: engine === 'native' || engine === 'own' ? null : p50,
    heapBytes: engine === 'native' || engine === 'own' ? null : 27e6,
  })
  const result: BenchResult = {
    schema: 1,
    date: '2026-01-02',
    effort: 'full',
    seconds: 600,
    machine: { cpu: 'A < B', cores: 2, memoryGiB: 8, instructions: [], node: '24', workerd: '1', onnxruntime: '1' },
    bundle: { scripts: 1e6, wasm: 14e6 },
    fit: [
      {
        model: 'encoder-int8',
        onnxBytes: 22e6,
        edgeBytes: 24e6,
        engine: 'verge',
        memoryBytes: 24e6,
        runtimeBytes: 20e6,
        runtimeMemoryBytes: 21e6,
        notes: [],
      },
      {
        model: 'large',
        onnxBytes: 110e6,
        edgeBytes: null,
        engine: null,
        memoryBytes: null,
        runtimeBytes: null,
        runtimeMemoryBytes: null,
        notes: [],
      },
    ],
    cold: [cold('encoder-int8', 'onnxruntime', 9), cold('encoder-int8', 'verge', 9), cold('digits', 'verge', 9.5)],
    firstRequests: {
      startUp: { isolate: { ...time, p50: 95 }, helpers: time },
      models: [
        {
          model: 'digits',
          isolate: { ...time, p50: 7.5 },
          helpers: { ...time, p50: 3 },
          reads: { ...time, p50: 2 },
          later: time,
        },
      ],
    },
    warm: [
      warm('a<b', '8 tokens', 'native', 10),
      warm('encoder-int8', '16 tokens', 'verge', 3),
      warm('encoder-int8', '16 tokens', 'plain', 10),
      warm('encoder-int8', '128 tokens', 'verge', 21),
      warm('encoder-int8', '128 tokens', 'onnxruntime', 50),
      warm('encoder-int8', '128 tokens', 'plain', 60),
      warm('large', '128 tokens', 'uncapped', 150),
      warm('large', '128 tokens', 'own', 120),
      warm('cnn-fp32', '224 x 224', 'verge', 20),
      warm('cnn-int8', '224 x 224', 'verge', 8),
      warm('cnn-int8', '224 x 224', 'plain', 9),
      warm('cnn-fp32', '224 x 224', 'plain', 50),
    ],
    router: { connections: 32, bodyBytes: 1024, echo: load, identity: load, ratio: 0.5, rounds: [0.5] },
  }

  it('judges each figure that was measured by its own bound, and no other', () => {
    expect(figures(result).map(({ reached, value }) => [value.split(' ')[0], reached])).toEqual([
      ['0.30x', true],
      ['0.42x', true],
      ['0.40x', true],
      // 8 of the 50 ms that the network takes in fp32.
      ['0.16x', true],
      // 20 of 3 ms: session and first run, by a warm answer.
      ['6.67x', false],
      ['1.13x', true],
      ['7.5', true],
      ['1.81x', false],
      ['0.50x', true],
    ])
  })

  it("holds Verge's own engine to a gate and an aim, the gate lower where the processor has 8-bit dots", () => {
    const on = (instructions: string[]) => figures({ ...result, machine: { ...result.machine, instructions } })
    const judged = (found: ReturnType<typeof figures>) => found.map(({ reached, aimReached }) => [reached, aimReached])
    expect(judged(on([]))).toEqual([
      [true, false],
      [true, false],
      [true, true],
      [true, false],
      [false, false],
      [true, true],
      [true, false],
      [false, undefined],
      [true, undefined],
    ])
    // 21 of 50 ms, the better one.
    expect(judged(on(['avx_vnni']))[1]).toEqual([false, false])
  })

  it('takes for the largest encoder the largest whose memory leaves a reserve', () => {
    const row = (model: string, weightsBytes: number, heapBytes: number): LargestRow => ({
      model,
      weightsBytes,
      size: '512 tokens',
      linearBytes: [weightsBytes, weightsBytes + 8e6],
      heapBytes,
      residentBytes: 90e6,
    })
    const judged = (rows: readonly LargestRow[]) => {
      const found = figures({ ...result, largest: rows }).find(({ name }) => name.startsWith('largest encoder'))
      return [found?.value.split(' ')[0], found?.reached, found?.aimReached]
    }
    const [medium, large] = [row('medium', 58e6, 15e6), row('large', 66e6, 15e6)]
    expect(judged([medium, large])).toEqual(['66.0', true, true])
    // 66 MB of weights, 8 of a run, and 31 of JavaScript's are a megabyte too much.
    expect(judged([medium, row('large', 66e6, 31e6)])).toEqual(['58.0', true, false])
    expect(judged([row('large', 66e6, 31e6)])).toEqual(['none', false, false])
    const [table] = tables({ ...result, largest: [medium] }).filter(({ title }) => title.includes('large encoder'))
    expect(table?.rows).toEqual([['medium', '58.0', '58.0, 66.0', '15.0', '81.0', '90.0']])
  })

  it('holds the reads of a cold isolate to three rounds where KV has copies, and says how many it takes where not', () => {
    const row = (model: string, copies: ColdReadsRow['copies'], rounds: number): ColdReadsRow => ({
      model,
      copies,
      rounds,
      reads: 8,
      answer: { ...time, p50: 177.2 },
    })
    const reads = [
      row('reviews', 'KV has copies', 3),
      row('reviews', 'KV is empty', 6),
      row('slow', 'KV has copies', 4),
    ]
    const found = figures({ ...result, reads }).filter(({ name }) => name.includes('one after the other'))
    expect(found.map(({ name, reached, value }) => [name.split(':')[0], value, reached])).toEqual([
      ['reviews', '3 (177 ms with 50 ms on each)', true],
      ['slow', '4 (177 ms with 50 ms on each)', false],
    ])
    const [table] = tables({ ...result, reads }).filter(({ title }) => title.includes('read nothing'))
    expect(table?.rows[1]).toEqual(['reviews', 'KV is empty', '8', '6', '177 (1.00)'])
  })

  it('holds lists among many models to three reads and to the time among few', () => {
    const row = (request: string, reads: readonly [number, number], ratio: number) => ({
      request,
      reads,
      few: { ...time, p50: 10 },
      many: { ...time, p50: 10 * ratio },
      ratio,
    })
    const models = [
      row('GET /a', [2, 3], 1.19),
      row('GET /b', [2, 4], 1),
      row('GET /c', [2, 2], 1.21),
      { ...row('POST /d', [6, 6], 1.1), mostReads: 6 },
    ]
    const found = figures({ ...result, models }).filter(({ name }) => name.includes('among 10000 models'))
    expect(found.map(({ reached, value }) => [value, reached])).toEqual([
      ['3 reads, 1.19x (11.9 of 10.0 ms)', true],
      ['4 reads, 1.00x (10.0 of 10.0 ms)', false],
      ['2 reads, 1.21x (12.1 of 10.0 ms)', false],
      ['6 reads, 1.10x (11.0 of 10.0 ms)', true],
    ])
    const [table] = tables({ ...result, models }).filter(({ title }) => title.includes('among 10 models'))
    expect(table?.rows[0]).toEqual(['GET /a', '2', '3', '10.0 (1.00)', '11.9 (1.00)', '1.19x'])
  })

  it('holds metrics and traces to what they add, with a canary too, and to their subrequests', () => {
    const sides = (added: number, subrequestsInHundred: number) => ({
      without: { ...time, p50: 1, p95: 2 },
      withTelemetry: { ...time, p50: 1 + added, p95: 2.5 },
      added,
      subrequestsInHundred,
    })
    const judged = (telemetry: NonNullable<BenchResult['telemetry']>) =>
      figures({ ...result, telemetry })
        .filter(({ name }) => /metrics|canary/.test(name))
        .map(({ reached, value }) => [value, reached])
    const telemetry = { ...sides(0.3, 2), trial: sides(0.31, 3) }
    expect(judged(telemetry)).toEqual([
      ['0.30 ms (p95 2.50 beside 2.00 ms)', true],
      ['0.31 ms (p95 2.50 beside 2.00 ms)', false],
      ['2.00', true],
    ])
    expect(judged(sides(0.1, 2.01)).map(([, reached]) => reached)).toEqual([true, false])
    const [table] = tables({ ...result, telemetry }).filter(({ title }) => title.includes('subrequests'))
    expect(table?.rows.map(([, ...figures]) => figures)).toEqual([
      ['1.00', '2.00', '0'],
      ['1.30', '2.50', '2.00'],
      ['1.00', '2.00', '0'],
      ['1.31', '2.50', '3.00'],
    ])
  })

  it('holds simulated releases to the worst of the equal ones, and to the wrong one', () => {
    const row = (kind: ReleasesRow['kind'], stopped: number, most?: number): ReleasesRow => ({
      canary: `${kind}, ${stopped}`,
      kind,
      releases: 500,
      stopped,
      ...(most !== undefined && { half: 30, most }),
    })
    const judged = (releases: readonly ReleasesRow[]) =>
      figures({ ...result, releases })
        .filter(({ name }) => name.includes('releases'))
        .map(({ reached, value }) => [value, reached])
    const releases = [row('equal', 0), row('equal', 5), row('wrong', 500, 200), row('worse', 400)]
    expect(judged(releases)).toEqual([
      ['200', true],
      ['1.00 %', true],
    ])
    expect(judged([row('equal', 6), row('wrong', 500, 210), row('wrong', 400)])).toEqual([
      ['210', false],
      ['fewer went back', false],
      ['1.20 %', false],
    ])
    const [table] = tables({ ...result, releases }).filter(({ title }) => title.includes('Simulated'))
    expect(table?.rows.slice(1, 3)).toEqual([
      ['equal, 5', '1.00 %', '–', '–'],
      ['wrong, 500', '100.00 %', '30', '200'],
    ])
  })

  it('holds a model whose table is in pages to its memory, its warm answers and its rounds of reads', () => {
    const row = (text: ColdPagesRow['text'], copies: ColdPagesRow['copies'], rounds: number): ColdPagesRow => ({
      ...{ text, copies, rounds, tokens: 102, pages: text === 'all rows hot' ? 0 : 40 },
      answer: { ...time, p50: 240 },
    })
    const pages: PagesResult = {
      artifactBytes: 29e6,
      pagesBytes: 90e6,
      memory: [
        { tokens: 128, heapBytes: 31e6 },
        { tokens: 512, heapBytes: 37e6 },
      ],
      warm: { whole: { ...time, p50: 50 }, paged: { ...time, p50: 53 }, ratio: 1.06 },
      cold: [
        row('all rows hot', 'KV has copies', 3),
        row('rows in pages', 'KV has copies', 5),
        row('rows in pages', 'KV is empty', 8),
      ],
    }
    const found = figures({ ...result, pages }).filter(({ name }) => name.includes('rows'))
    expect(found.map(({ aimReached, reached, value }) => [value, reached, aimReached])).toEqual([
      ['31.0 MB at 128 tokens, 37.0 MB at 512 tokens', true, false],
      ['1.060x (53.0 against 50.0 ms)', false, false],
      ['3, 0 pages (240 ms)', true, undefined],
      ['5, 40 pages (240 ms)', false, undefined],
    ])
    const [table] = tables({ ...result, pages }).filter(({ title }) => title.includes('most of them in pages'))
    expect(table?.rows[2]).toEqual(['rows in pages', 'KV is empty', '102', '40', '8', '240 (1.00)'])
  })

  it('is readable in a terminal and in Markdown', () => {
    const all = tables(result)
    const text = all.map(plainText).join('\n')
    expect(text).toMatch(/large\s+110\.0\s+–\s+–\s+–\s+–\s+does not fit/)
    expect(text).toMatch(/wasm heap after loading .* missed/)
    expect(text).toMatch(/linear memory.* reached; aim reached/)
    expect(text).toMatch(
      /7\.5 ms \(beside it: V8's other threads 3\.0 ms, reading KV alone 2\.0 ms, script and modules 95\.0 ms, the whole process with local stores 9\.5 ms\)/,
    )
    expect(text).toMatch(/first request: digits\s+7\.50 \(1\.00\)\s+3\.00 \(1\.00\)\s+2\.00 \(1\.00\)\s+10\.0/)
    expect(text).toMatch(/encoder-int8\s+128 tokens\s+Verge on ONNX Runtime\s+50\.0\s+27\.0/)
    expect(text).toMatch(/large\s+128 tokens\s+Verge's engine, Worker without a cap\s+150\s+27\.0/)
    expect(describeRun(result)).not.toContain('LEFT OUT')
    expect(describeRun({ ...result, leftOut: ['an engine (how)'] })).toContain('LEFT OUT: an engine (how).')
    const [figure] = all
    expect(figure && markdown(figure)).toContain('| --- |')
  })

  it('is drawn as well-formed SVG, to scale', () => {
    const svg = plot(result)
    expect(svg).toContain('a&lt;b')
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
    const open = [...svg.matchAll(/<(svg|text|rect)\b[^>]*?(\/?)>/g)].filter(([, , closed]) => closed === '')
    expect(open).toHaveLength([...svg.matchAll(/<\/(svg|text|rect)>/g)].length)
  })

  it('replaces the last run in the README and nothing else', () => {
    const readme = 'before\n<!-- last run: begin -->\nold\n<!-- last run: end -->\nafter\n'
    const once = withLastRun(readme, 'new')
    expect(once).toBe('before\n<!-- last run: begin -->\n\nnew\n\n<!-- last run: end -->\nafter\n')
    expect(withLastRun(once, 'new')).toBe(once)
    expect(() => withLastRun('no markers', 'new')).toThrow('must have the lines')
  })
})
