import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { tensor } from '../../src/core/tensors.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { onnxModel } from '../../synthetic/onnx.ts'
import { inventedTokenizer, inventedWords, VOCABULARY_KINDS } from '../../synthetic/vocabularies.ts'
import { expectRustTokens } from '../fixtures/large-tokenizers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const PIECES = 250_000

describe.each(VOCABULARY_KINDS)('%s with 250,000 pieces', (kind) => {
  it("has the Rust library's tokens", () => {
    expectRustTokens(kind, PIECES)
  })
})

/** Answers with the mean of what stands for each token: two small numbers that its own number has as remainders. */
function meanModel(): Uint8Array<ArrayBuffer> {
  const rows = Float32Array.from({ length: 2 * PIECES }, (_, at) => Math.floor(at / 2) % (at % 2 === 0 ? 101 : 103))
  return onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 2] }],
    nodes: [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['words'] },
      {
        op: 'ReduceMean',
        inputs: ['words'],
        outputs: ['logits'],
        attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
      },
    ],
    initializers: {
      table: tensor('FP32', [PIECES, 2], rows),
    },
  })
}

describe.each(['Unigram', 'BPE'] as const)(
  'a model at the edge with a tokenizer.json of 9 MB and more (%s)',
  (kind) => {
    const file = new TextEncoder().encode(JSON.stringify(inventedTokenizer(kind, PIECES)))
    let worker: LiveWorker
    beforeAll(async () => {
      worker = await startLiveWorker({})
      const description = descriptionSchema.parse({
        ...{ name: 'large', version: '1', visibility: 'public', licence: 'Apache-2.0', task: 'text-classification' },
        ...{ tokenizer: 'tokenizer.json', labels: ['first', 'second'], activation: 'none' },
        preprocess: { text: { maxTokens: 128 } },
        artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
      })
      const given = new Map<string, Uint8Array>([
        ['model.onnx', meanModel()],
        ['tokenizer.json', file],
      ])
      await publish(await writerFor(worker), await pack(description, '.', given))
    })
    afterAll(() => worker?.dispose())

    it('reads texts by the compiled one', async () => {
      expect(file.length).toBeGreaterThan(LIMITS.tokenizerBytes)
      const text = inventedWords(40, 3).join(' ')
      const { ids } = TextTokenizer.parse(file).encode(text, 128)
      const response = await fetch(`${worker.url}/run/large`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: text }),
      })
      expect(response.status, await response.clone().text()).toBe(200)
      const found = (await response.json()) as { readonly label: string; readonly score: number }[]
      const mean = (by: number): number => ids.reduce((sum, id) => sum + (id % by), 0) / ids.length
      expect(ids.length).toBeGreaterThan(40)
      expect(found.find(({ label }) => label === 'first')?.score).toBeCloseTo(mean(101), 3)
      expect(found.find(({ label }) => label === 'second')?.score).toBeCloseTo(mean(103), 3)
    })
  },
)
