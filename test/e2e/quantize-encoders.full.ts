import { describe, expect, it } from 'vitest'
import { BERT_BASE, encoderModel } from '../../bench/models/encoder.ts'
import { madeModel } from '../../bench/models/index.ts'
import { tokens } from '../../bench/models/subjects.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import type { Pass } from '../../src/onnx/pass.ts'
import { dynamicInt8 } from '../../src/quantize/products/dynamic.ts'
import { weightOnly4 } from '../../src/quantize/products/weight-only.ts'
import { Agreement, sqnrDb } from '../../src/quantize/shared/metrics.ts'
import { embeddings } from '../../src/quantize/tables/embeddings.ts'
import { change, runEdge, runNative } from '../fixtures/node/quantize.ts'

const int8 = (): Pass[] => [embeddings(), dynamicInt8()]
const q4 = (symmetric = true): Pass[] => [embeddings({ bits: 4, symmetric }), weightOnly4({ symmetric })]

/** A text of 48 made-up tokens. */
function text(): Record<string, Tensor> {
  return Object.fromEntries(
    tokens(48).map(({ name, shape, data }) => [name, tensor('INT64', shape, data as BigInt64Array)]),
  )
}

// Random weights have no structure that errors could hide behind: the limits are those of the numbers themselves.
describe("the encoder of MiniLM's shape", () => {
  const source = madeModel('encoder-fp32')

  it.each([
    { name: 'int8', passes: int8(), share: 0.256, cosine: 0.9999, decibels: 40 },
    { name: '4 bits', passes: q4(), share: 0.16, cosine: 0.995, decibels: 20 },
    { name: '4 bits with zero points', passes: q4(false), share: 0.16, cosine: 0.995, decibels: 20 },
  ])('in $name', async ({ passes, share, cosine, decibels }) => {
    const { bytes: original } = await source
    const { bytes } = await change(original, passes)
    expect(bytes.length / original.length).toBeLessThanOrEqual(share)
    const result = await runNative(bytes, text())
    const agreement = new Agreement().add(await runNative(original, text()), result)
    expect(agreement.cosine).toBeGreaterThan(cosine)
    expect(agreement.sqnrDb).toBeGreaterThan(decibels)
    // A value that falls on the other side of a rounding boundary costs a step; otherwise the engines agree.
    expect(sqnrDb(result, (await runEdge(bytes, text())).result)).toBeGreaterThan(60)
  })
})

describe("the encoder of BERT-base's shape", () => {
  it('in 4 bits has at most 16 % of the bytes', async () => {
    const original = encoderModel(BERT_BASE, 'fp32')
    const { bytes } = await change(original, q4())
    expect(bytes.length / original.length).toBeLessThanOrEqual(0.16)
    const agreement = new Agreement().add(await runNative(original, text()), await runNative(bytes, text()))
    expect(agreement.cosine).toBeGreaterThan(0.99)
    console.info(`BERT-base in 4 bits: cosine ${agreement.cosine.toFixed(5)}, ${agreement.sqnrDb.toFixed(1)} dB`)
  })
})
