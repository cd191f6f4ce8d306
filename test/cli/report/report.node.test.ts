import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { renderHtml } from '../../../src/cli/report/html.ts'
import { type Report, renderJson } from '../../../src/cli/report/report.ts'
import { sizesOf } from '../../../src/cli/report/sizes.ts'
import { renderText } from '../../../src/cli/report/text.ts'
import { sampleReport } from '../../fixtures/node/sample-report.ts'

const HOSTILE = `</title><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;\u001b[2J\u0007]]>`

/** A report in which every text that a model's author or a user chooses is hostile. */
function hostileReport(): Report {
  const report = sampleReport()
  const layer = { ...report.layers[0], node: HOSTILE, op: HOSTILE, weight: HOSTILE } as Report['layers'][number]
  const [artifact] = report.verification?.artifacts ?? []
  if (!artifact || !report.verification) throw new Error('the sample has a verification')
  return {
    ...report,
    model: HOSTILE,
    source: HOSTILE,
    options: { exclude: [HOSTILE] },
    choices: [{ what: HOSTILE, why: HOSTILE }],
    layers: [layer],
    skipped: [{ node: HOSTILE, op: HOSTILE, reason: HOSTILE }],
    passes: [{ pass: HOSTILE, changes: 1 }],
    notes: [HOSTILE],
    verification: {
      ...report.verification,
      ok: false,
      verdict: 'differs',
      artifacts: [
        {
          ...artifact,
          artifact: HOSTILE,
          failures: [HOSTILE],
          outputs: artifact.outputs.map((output) => ({ ...output, output: HOSTILE })),
        },
      ],
    },
    located: {
      values: [{ value: HOSTILE, node: HOSTILE, op: HOSTILE, sqnrDb: 12, added: 0.1 }],
      first: null,
      worst: [{ value: HOSTILE, node: HOSTILE, op: HOSTILE, sqnrDb: 12, added: 0.1 }],
    },
    measured: report.measured && { ...report.measured, verdict: { fit: 'origin-only', reason: HOSTILE } },
  }
}

/** Tags in order, with whether each opens or closes; throws where they do not pair up. */
function assertWellFormed(page: string): void {
  const open: string[] = []
  const alone = new Set(['meta', 'rect', 'line', 'path', '!doctype'])
  for (const [, slash, name, rest] of page.matchAll(/<(\/?)([!a-z][a-z0-9]*)([^<>]*)>/g)) {
    if (name === undefined || alone.has(name) || rest?.endsWith('/')) continue
    if (slash) expect(open.pop()).toBe(name)
    else open.push(name)
  }
  expect(open).toEqual([])
  // Nothing but tags begins with an angle bracket.
  expect(page.match(/</g)?.length).toBe(page.match(/<\/?[!a-z]/g)?.length)
}

describe('report as a page', () => {
  it('is one well-formed page that asks for nothing', () => {
    const page = renderHtml(sampleReport())
    // What the local process grew by is no share of an isolate.
    expect(page).not.toMatch(/added to the process/)
    expect(page).toMatch(/may grow to 83\.9 MB of an isolate's 128 MB/)
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/)
    assertWellFormed(page)
    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|https?:|\/\/|\bon\w+=/)
    expect(page).toContain(`default-src 'none'`)
    for (const part of ['encoder.layer.3', '24.6 %', 'fits-alone', 'prefers-color-scheme: dark', '91.20 %']) {
      expect(page).toContain(part)
    }
    expect(page.match(/<svg /g)).toHaveLength(5)
  })

  it('escapes every name of a model', () => {
    const page = renderHtml(hostileReport())
    assertWellFormed(page)
    expect(page).not.toMatch(/<script|<img|<[^>]*onerror=/)
    expect(page).toContain('&lt;script&gt;')
    expect(page).not.toMatch(/[^\P{Cc}\n]/u)
  })

  it('is a page even where nothing is known but sizes', () => {
    const page = renderHtml(bareReport())
    assertWellFormed(page)
    expect(page).toContain('not verified')
    expect(page).not.toMatch(/undefined|null|NaN/)
  })
})

describe('report as text', () => {
  it('fits a terminal and says what was chosen, lost and gained', () => {
    const text = renderText(sampleReport())
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
    for (const part of [
      /demo 1: verified, fits-alone/,
      /int8: the smallest that keeps its accuracy/,
      /original \(fp32, onnx\) +90\.0 MB/,
      /original \(fp32, ort\) +91\.2 MB/,
      // Each against the original in its own format: 22.41 of 91.2, and 22.5 of 90.
      /edge-int8 \(ort\) +22\.4 MB +24\.6 %/,
      /onnx-int8 \(onnx\) +22\.5 MB +25\.0 %/,
      /top-1: 91\.20 %, original 91\.40 % \(-0\.20 points\), 500 samples/,
      /edge-int8, workerd/,
      /2\.41 units/,
      /not quantized, 1: too small to gain anything/,
    ]) {
      expect(text).toMatch(part)
    }
  })

  it('puts layers with the largest loss first', () => {
    const text = renderText(sampleReport())
    const [worst, next] = text.split('\n').filter((line) => line.includes('/attention/self/'))
    expect(worst).toMatch(/layer\.3.* 17\.5 dB$/)
    expect(next).toMatch(/layer\.0.* 30\.0 dB$/)
  })

  it('says which output failed, and where the error begins', () => {
    const report = sampleReport()
    const [artifact] = report.verification?.artifacts ?? []
    if (!artifact || !report.verification) throw new Error('the sample has a verification')
    const failed = { ...artifact, failures: ['output "logits" has a cosine similarity of 0.5'] }
    const text = renderText({
      ...report,
      verification: { ...report.verification, ok: false, verdict: 'differs', artifacts: [failed] },
    })
    expect(text).toMatch(/VERIFICATION FAILED/)
    expect(text).toMatch(/FAILED edge-int8: output "logits" has a cosine similarity of 0\.5/)
    expect(text).toMatch(/The error begins at "encoder\.layer\.3"/)
  })

  it('sends a terminal no control characters, and stays within its width', () => {
    const text = renderText(hostileReport())
    expect(text).not.toMatch(/[^\P{Cc}\n]/u)
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
  })

  it('is short where nothing is known but sizes', () => {
    const text = renderText(bareReport())
    expect(text).toMatch(/^demo 1: not verified\n/)
    expect(text).not.toMatch(/undefined|null|NaN/)
  })
})

describe('report as JSON', () => {
  it('has everything, C for each artifact, and null for what JSON lacks', () => {
    const value = JSON.parse(renderJson(sampleReport())) as Record<string, never>
    expect(value).toMatchObject({
      schema: 1,
      model: 'demo',
      c: [
        { id: 'edge-int8', bytes: 22.41 / 91.2 },
        { id: 'onnx-int8', bytes: 22.5 / 90 },
      ],
      located: { values: [{ sqnrDb: null }, { sqnrDb: 17.5 }] },
      accuracy: { metric: 'top-1', value: 0.912 },
    })
  })
})

describe('an accuracy that a folder states', () => {
  it('is marked as copied in both reports', () => {
    const accuracy = { metric: 'top-1', value: 0.98, baseline: 0.98, samples: 100, copied: true } as const
    const copied = { ...bareReport(), accuracy }
    expect(renderText(copied)).toContain('Accuracy, copied from verge.json, not measured of these weights\n  top-1: 98')
    expect(renderHtml(copied).match(/copied from verge\.json, not measured of these weights/g)).toHaveLength(2)
  })
})

describe('sizes', () => {
  it('are those of what decompresses to the same bytes', async () => {
    const bytes = new Uint8Array(50_000).map((_, index) => (index * index) % 251)
    const { brotliCompressSync, gzipSync } = await import('node:zlib')
    const sizes = await sizesOf(bytes)
    expect(sizes.bytes).toBe(50_000)
    expect(gunzipSync(gzipSync(bytes, { level: 6 }))).toEqual(Buffer.from(bytes))
    expect(sizes.gzip).toBe(gzipSync(bytes, { level: 6 }).length)
    expect(sizes.brotli).toBeLessThan(sizes.gzip * 1.1)
    expect(brotliDecompressSync(brotliCompressSync(bytes)).length).toBe(50_000)
    expect(await sizesOf(new Uint8Array(0))).toMatchObject({ bytes: 0 })
  })
})

function bareReport(): Report {
  return {
    ...sampleReport(),
    options: {},
    choices: [],
    tools: {},
    passes: [],
    layers: [],
    skipped: [],
    verification: null,
    located: null,
    accuracy: null,
    measured: null,
    measuredOriginal: null,
    trimming: null,
    notes: [],
  }
}
