import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { summarise } from '../../scripts/checks/test-report.ts'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { assertData } from '../../src/cli/accuracy/held-out.ts'
import { measure } from '../../src/cli/accuracy/measure.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { essenceOf, madeUpProbes, probeFor } from '../../src/cli/local/probe.ts'
import { shown } from '../../src/cli/push/question.ts'
import { percentile, wilsonInterval } from '../../src/cli/statistics.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { tensor } from '../../src/core/tensors.ts'
import { decodeAudio } from '../../src/media/audio/decode.ts'

describe('statistics', () => {
  it("gives Wilson's interval", () => {
    // Reference values: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3; the third by symmetry.
    const rounded = (right: number, count: number) => wilsonInterval(right, count).map((end) => end.toFixed(4))
    expect(rounded(15, 148)).toEqual(['0.0624', '0.1605'])
    expect(rounded(0, 20)).toEqual(['0.0000', '0.1611'])
    expect(rounded(20, 20)).toEqual(['0.8389', '1.0000'])
  })

  it('gives percentiles that are values', () => {
    const values = [5, 1, 4, 2, 3]
    expect([percentile(values, 0.5), percentile(values, 0.95), percentile([7], 0.5)]).toEqual([3, 5, 7])
  })
})

describe('probes', () => {
  const base = { schema: 1, model: 'm', version: '1', artifacts: [] } satisfies Partial<Manifest>

  it('ask raw models with zeros of the right shape and type', async () => {
    const manifest: Manifest = {
      ...base,
      inputs: [
        { name: 'x', datatype: 'FP32', shape: ['n', 2] },
        { name: 'words', datatype: 'BYTES', shape: [-1] },
        { name: 'flag', datatype: 'BOOL', shape: [] },
      ],
      outputs: [],
    }
    const probe = await probeFor(manifest, import.meta.dirname)
    expect(probe?.path).toBe('/v2/models/m/infer')
    expect(JSON.parse(String(probe?.body))).toEqual({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 2], data: [0, 0] },
        { name: 'words', datatype: 'BYTES', shape: [1], data: [''] },
        { name: 'flag', datatype: 'BOOL', shape: [], data: [false] },
      ],
    })
  })

  it('ask raw models whose dimensions are open in several plausible sizes, with a rate where one is wanted', () => {
    const inputs: Manifest['inputs'] = [
      { name: 'input', datatype: 'FP32', shape: [-1, -1] },
      { name: 'state', datatype: 'FP32', shape: [2, -1, 4] },
      { name: 'sr', datatype: 'INT64', shape: [] },
    ]
    const bodies = madeUpProbes({ ...base, inputs, outputs: [] }).map(({ body }) => JSON.parse(String(body)).inputs)
    expect(bodies.map(([input]) => input.shape)).toEqual([16, 1, 32, 64, 128, 2, 512, 576].map((length) => [1, length]))
    for (const [, state, rate] of bodies) {
      expect(state).toEqual({ name: 'state', datatype: 'FP32', shape: [2, 1, 4], data: Array(8).fill(0) })
      expect(rate).toEqual({ name: 'sr', datatype: 'INT64', shape: [], data: [16_000] })
    }
    const lines = madeUpProbes({
      ...base,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1, -1, -1] }],
      outputs: [],
    })
    expect(lines.map(({ body }) => JSON.parse(String(body)).inputs[0].shape)).toContainEqual([1, 1, 32, 128])
  })

  it('ask language models for a text: in a chat where they take one', async () => {
    const blob = { sha256: '0'.repeat(64), bytes: 1, chunks: [] }
    const artifacts: Manifest['artifacts'] = [{ ...blob, id: 'a', format: 'onnx', dtype: 'fp32', places: ['origin'] }]
    const manifest: Manifest = { ...base, task: 'text-generation', inputs: [], outputs: [], artifacts }
    const plain = await probeFor(manifest, import.meta.dirname)
    expect(plain?.path).toBe('/v1/completions')
    expect(JSON.parse(String(plain?.body))).toMatchObject({ model: 'm', prompt: expect.any(String) })
    for (const chatting of [
      { ...manifest, files: { 'chat_template.jinja': blob } },
      { ...manifest, artifacts: [] },
    ]) {
      const probe = await probeFor(chatting, import.meta.dirname)
      expect(probe?.path).toBe('/v1/chat/completions')
      expect(JSON.parse(String(probe?.body))).toMatchObject({ model: 'm', messages: [{ role: 'user' }] })
    }
    expect(essenceOf({ choices: [{ message: { content: '85' } }] })).toBe('85')
    expect(essenceOf({ choices: [{ text: '86' }] })).toBe('86')
    expect(essenceOf([{ label: '7' }])).toEqual([{ label: '7' }])
  })

  it('show the digits of a score that mean something, and whole numbers whole', () => {
    const answer = {
      scores: [0.9998741149902344, 1.1920928955078125e-7],
      total: 1_234_567,
      text: '0.123456789',
      ok: true,
    }
    expect(essenceOf(answer)).toEqual({ scores: [0.9999, 1.192e-7], total: 1_234_567, text: '0.123456789', ok: true })
  })

  it('show half floats as numbers, not as their bits', () => {
    // 0x3c00 is 1, 0xc100 is -2.5, 0x3555 is 0.333251953125: IEEE 754 binary16.
    const half = tensor('FP16', [3], Uint16Array.of(0x3c00, 0xc100, 0x3555))
    expect(shown(half)).toBe('FP16 [3]: 1, -2.5, 0.3333')
    expect(shown(tensor('INT64', [1], BigInt64Array.of(2n ** 60n)))).toBe('INT64 [1]: 1152921504606846976')
    expect(shown(tensor('FP32', [5], Float32Array.of(1, 2, 3, 4, 5)))).toBe('FP32 [5]: 1, 2, 3, 4, ...')
  })

  it('ask models of sounds with a sound that Wav2Vec2 can take', async () => {
    const manifest: Manifest = { ...base, task: 'audio-classification', inputs: [], outputs: [] }
    const probe = await probeFor(manifest, import.meta.dirname)
    const { inputs } = JSON.parse(String(probe?.body)) as { inputs: string }
    for (const [sampleRate, least] of [
      [16_000, 400],
      [8_000, 400],
    ] as const) {
      const samples = decodeAudio(Buffer.from(inputs, 'base64'), { sampleRate, normalise: false }, LIMITS)
      expect(samples.length).toBeGreaterThanOrEqual(least)
      expect(Math.max(...samples)).toBeGreaterThan(0.5)
      expect(Math.min(...samples)).toBeLessThan(-0.5)
    }
  })

  it('leave models with enormous inputs alone', async () => {
    const inputs: Manifest['inputs'] = [{ name: 'x', datatype: 'FP32', shape: [1, 3, 4096, 4096] }]
    expect(await probeFor({ ...base, inputs, outputs: [] }, import.meta.dirname)).toBeNull()
  })
})

describe('measuring accuracy', () => {
  it('counts right answers, and asks again after 429', async () => {
    let refused = false
    const server = createServer((request, response) => {
      let text = ''
      request.on('data', (piece) => {
        text += piece
      })
      request.on('end', () => {
        if (text === 'b' && !refused) {
          refused = true
          response.writeHead(429, { 'retry-after': '0' }).end('{}')
          return
        }
        response.end(JSON.stringify([{ label: text === 'd' ? 'x' : text }]))
      })
    }).listen(0)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/run/m`
    const samples = ['a', 'b', 'c', 'd'].map((body) => ({ body, contentType: 'text/plain', label: body }))
    try {
      const result = await measure(url, samples, { concurrency: 2 })
      expect(result).toMatchObject({ right: 3, count: 4, refusals: 1 })
      expect(result.latencies.length).toBe(3)
    } finally {
      server.close()
    }
  })

  it('stops at a failure, with what the server said', async () => {
    const server = createServer((_, response) => response.writeHead(500).end('out of order')).listen(0)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    try {
      await expect(
        measure(url, [{ body: 'a', contentType: 'text/plain', label: 'a' }], { concurrency: 1 }),
      ).rejects.toThrow(/HTTP 500: out of order/)
    } finally {
      server.close()
    }
  })
})

describe('test reports', () => {
  const file = (status: string, ...tests: [string, string][]) => ({
    name: 'a.test.ts',
    status,
    assertionResults: tests.map(([fullName, verdict]) => ({ fullName, status: verdict })),
  })

  it('are summed up, with skips that say why', () => {
    const good = { success: true, testResults: [file('passed', ['a', 'passed'], ['b: skipped, no data', 'skipped'])] }
    expect(summarise([good, good])).toEqual({ passed: 2, failed: 0, skipped: 2, problems: [] })
  })

  it('are no good with failures, silent skips, files that do not load, or no tests at all', () => {
    for (const report of [
      { success: false, testResults: [file('failed', ['a', 'failed'], ['b', 'passed'])] },
      { success: true, testResults: [file('passed', ['a', 'skipped'], ['b', 'passed'])] },
      { success: true, testResults: [file('passed', ['a', 'todo'], ['b', 'passed'])] },
      { success: false, testResults: [file('passed', ['b', 'passed']), file('failed')] },
      { success: false, testResults: [file('passed', ['b', 'passed'])] },
      { success: true, testResults: [] },
    ]) {
      expect(summarise([report]).problems.length).toBe(1)
    }
  })
})

it('accuracy without data says what to bring, before it starts anything', async () => {
  const command = [join(ROOT, 'scripts/accuracy.ts'), '--data', '/no/such/folder']
  const failure = await promisify(execFile)(process.execPath, command, { cwd: ROOT }).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 1, stdout: '' })
  const { stderr } = failure as { stderr: string }
  for (const part of ['mnist-8000-images', 'imdb-train.jsonl.gz', '--data DIR', 'models/digits/README.md']) {
    expect(stderr).toContain(part)
  }
  expect(stderr).not.toMatch(/\n\s+at /)
  expect(() => assertData('/no/such/folder', [])).not.toThrow()
})

it('npm prints nothing of its own before a command, whichever npm it is', async () => {
  const { stdout, stderr } = await promisify(execFile)('npm', ['config', 'get', 'loglevel'], { cwd: ROOT })
  // below it are the warnings of packages for a Node that they do not run under, and of settings that npm 10 alone reads
  expect({ loglevel: stdout.trim(), stderr }).toEqual({ loglevel: 'error', stderr: '' })
})
