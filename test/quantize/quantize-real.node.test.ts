import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import type { Pass } from '../../src/onnx/pass.ts'
import { dynamicInt8 } from '../../src/quantize/products/dynamic.ts'
import { weightOnly4 } from '../../src/quantize/products/weight-only.ts'
import { Agreement, argmax, sqnrDb } from '../../src/quantize/shared/metrics.ts'
import { embeddings } from '../../src/quantize/tables/embeddings.ts'
import { change, opsOf, runEdge, runNative } from '../fixtures/node/quantize.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'

const CLASSES = 214

const int8 = (): Pass[] => [embeddings(), dynamicInt8()]
const q4 = (): Pass[] => [embeddings({ bits: 4 }), weightOnly4()]

/** Magika's input: the first and the last 1,024 bytes without the white space around them, filled up with 256. */
async function magikaInput(files: readonly string[]): Promise<Tensor> {
  const data = new Int32Array(files.length * 2048).fill(256)
  for (const [row, file] of files.entries()) {
    const text = (await readFile(join(REAL_SAMPLES, 'file-types', file))).toString('latin1').trim()
    const bytes = Buffer.from(text, 'latin1')
    data.set(bytes.subarray(0, 1024), row * 2048)
    const end = bytes.subarray(-1024)
    data.set(end, (row + 1) * 2048 - end.length)
  }
  return tensor('INT32', [files.length, 2048], data)
}

const FILES = ['python/code.py', 'javascript/code.js', 'css/code.css', 'csv/magika_test.csv']

describe.skipIf(!haveRealModels)(`quantizing real models (skipped only where ${SKIP_REASON})`, () => {
  it('keeps what Magika says of files', async () => {
    const model = await readFile(join(REAL_MODELS, 'magika-standard-v3.3/model.onnx'))
    const input = { bytes: await magikaInput(FILES) }
    const expected = await runNative(model, input)
    for (const [passes, op, least] of [
      [int8(), 'MatMulInteger', 0.9999],
      [q4(), 'MatMulNBits', 0.999],
    ] as const) {
      const { bytes, model: changed } = await change(model, passes)
      expect(opsOf(changed)).toContain(op)
      const result = await runNative(bytes, input)
      for (let row = 0; row < expected.length; row += CLASSES) {
        expect(argmax(result, row, row + CLASSES)).toBe(argmax(expected, row, row + CLASSES))
      }
      expect(new Agreement().add(expected, result).cosine).toBeGreaterThan(least)
      expect(sqnrDb(result, (await runEdge(bytes, input)).result)).toBeGreaterThan(40)
    }
  })

  it('keeps the embeddings that Model2Vec gives', async () => {
    const model = await readFile(join(REAL_MODELS, 'm2v-bge64-converted/model.onnx'))
    const length = 200
    const input = {
      input_ids: tensor(
        'INT64',
        [1, length],
        BigInt64Array.from({ length }, (_, index) => BigInt((index * 7919) % 20_000)),
      ),
      attention_mask: tensor('INT64', [1, length], new BigInt64Array(length).fill(1n)),
    }
    const expected = await runNative(model, input)
    for (const [passes, least] of [
      [int8(), 0.9999],
      [q4(), 0.99],
    ] as const) {
      const { bytes } = await change(model, passes)
      expect(bytes.length).toBeLessThan(0.6 * model.length)
      expect(new Agreement().add(expected, await runNative(bytes, input)).cosine).toBeGreaterThan(least)
    }
  })
})
