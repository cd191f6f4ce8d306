import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import { type FillMaskPipeline, pipeline } from '@huggingface/transformers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { maskedLanguageModel } from '../../synthetic/masked-language.ts'
import { bertTokenizer, robertaTokenizer } from '../fixtures/mask-tokenizers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'

/**
 * Both sides run the same weights in single precision, in other orders of addition: of scores up to 1, differences stay
 * below this.
 */
const TOLERANCE = 1e-5
const POSITIONS = 64

const read = (name: string): string => readFileSync(join(ROOT, 'models', name, 'tokenizer.json'), 'utf8')
const BERT = bertTokenizer(read('reviews'))
const ROBERTA = robertaTokenizer(read('abacus'))

interface Proposal {
  readonly score: number
  readonly token: number
  readonly token_str?: string
  readonly sequence: string
}

/** Models pushed from folders as the hub has them, in a running Worker, beside transformers.js on the same files. */
describe('fill-mask in a running Worker', () => {
  let worker: LiveWorker
  let folder: TransformersFolder
  const notes = new Map<string, readonly string[]>()
  const references = new Map<string, FillMaskPipeline>()

  beforeAll(async () => {
    folder = await transformersFolder()
    await folder.add('bert', maskedLanguageModel({ vocabulary: BERT.size, positions: POSITIONS, types: true }), {
      'config.json': { architectures: ['BertForMaskedLM'], model_type: 'bert', vocab_size: BERT.size },
      'tokenizer.json': BERT.file,
      'tokenizer_config.json': {
        tokenizer_class: 'BertTokenizer',
        model_max_length: POSITIONS,
        mask_token: '[MASK]',
        pad_token: '[PAD]',
        sep_token: '[SEP]',
        cls_token: '[CLS]',
        unk_token: '[UNK]',
      },
    })
    await folder.add('roberta', maskedLanguageModel({ vocabulary: ROBERTA.size, positions: POSITIONS, types: false }), {
      'config.json': { architectures: ['RobertaForMaskedLM'], model_type: 'roberta', vocab_size: ROBERTA.size },
      'tokenizer.json': ROBERTA.file,
      'tokenizer_config.json': {
        tokenizer_class: 'RobertaTokenizer',
        model_max_length: POSITIONS,
        mask_token: { __type: 'AddedToken', content: '<mask>', lstrip: true },
        pad_token: '<pad>',
      },
    })
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const name of ['bert', 'roberta']) {
      const packed = await folder.packed(name)
      notes.set(name, packed.notes)
      await publish(writer, packed)
      references.set(name, await pipeline('fill-mask', name, { dtype: 'fp32' }))
    }
  })
  afterAll(async () => {
    await worker?.dispose()
    await folder?.remove()
  })

  async function ask(model: string, body: unknown): Promise<{ status: number; answer: unknown }> {
    const response = await fetch(`${worker.url}/run/${model}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, answer: await response.json() }
  }

  function expectSame(own: readonly Proposal[], reference: readonly Proposal[]): void {
    expect(own.map(({ token, token_str, sequence }) => ({ token, token_str, sequence }))).toEqual(
      reference.map(({ token, token_str, sequence }) => ({ token: Number(token), token_str, sequence })),
    )
    for (const [i, { score }] of reference.entries()) {
      expect(Math.abs((own[i]?.score ?? 0) - score), `proposal ${i}`).toBeLessThan(TOLERANCE)
    }
  }

  it('is described by the files of the hub, with the mask token of its tokenizer', () => {
    expect(notes.get('bert')).toEqual(
      expect.arrayContaining([
        'task fill-mask, by its architecture BertForMaskedLM',
        '[MASK] stands in place of a word',
        expect.stringMatching(/truncated to 64 tokens/),
      ]),
    )
    expect(notes.get('roberta')).toContain('<mask> stands in place of a word')
  })

  it.each([
    ['bert', 'A quiet [MASK] that stays with you.'],
    ['bert', '[MASK] was wonderfully acted, and not a minute too long'],
    ['roberta', 'A quiet <mask> that stays with you.'],
    ['roberta', 'What is twenty plus <mask>?'],
  ])('%s proposes what transformers.js does: %s', async (model, inputs) => {
    const reference = (await references.get(model)?.(inputs, { top_k: 7 })) as Proposal[]
    expect(reference).toHaveLength(7)
    const { answer, status } = await ask(model, { inputs, parameters: { top_k: 7 } })
    expect(status).toBe(200)
    expectSame(answer as Proposal[], reference)
  })

  it('answers a batch of texts as its singles', async () => {
    const texts = ['[MASK].', 'a film about a [MASK] and his dog', 'I would not see the [MASK] again, not even once.']
    const reference = (await references.get('bert')?.(texts, { top_k: 3 })) as Proposal[][]
    const { answer } = await ask('bert', { inputs: texts, parameters: { top_k: 3 } })
    for (const [i, proposals] of reference.entries()) expectSame((answer as Proposal[][])[i] ?? [], proposals)
  })

  it('@huggingface/inference fills masks', async () => {
    const inputs = 'A quiet [MASK] that stays with you.'
    const client = new InferenceClient('any-key')
    const endpointUrl = `${worker.url}/models/bert`
    const reference = (await references.get('bert')?.(inputs)) as Proposal[]
    expectSame(await client.fillMask({ endpointUrl, inputs }), reference)
    const one = await client.fillMask({ endpointUrl, inputs, parameters: { top_k: 1, targets: ['film', 'book'] } })
    expect(one).toHaveLength(1)
    expect(['film', 'book']).toContain(one[0]?.token_str)
    await expect(client.fillMask({ endpointUrl, inputs: 'no mask' })).rejects.toThrow(/has no \[MASK\]/)
  })

  it('refuses what it cannot answer before it costs anything, and says what to do', async () => {
    const refused = async (body: unknown) => {
      const { answer, status } = await ask('bert', body)
      return [status, (answer as { error: { code: string } }).error.code]
    }
    expect(await refused({ inputs: 'nothing is missing here' })).toEqual([400, 'invalid_request'])
    expect(await refused({ inputs: '' })).toEqual([400, 'empty_input'])
    expect(await refused({ inputs: `${'a '.repeat(200)}[MASK]` })).toEqual([400, 'invalid_request'])
    expect(await refused({ inputs: '[MASK] '.repeat(62), parameters: { top_k: 1000 } })).toEqual([
      413,
      'input_too_large',
    ])
    expect(await refused({ inputs: '[MASK]', parameters: { top_k: 0 } })).toEqual([400, 'invalid_request'])
  })
})
