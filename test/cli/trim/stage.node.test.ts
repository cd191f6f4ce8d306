import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import type { Trimming } from '../../../src/cli/trim/stage.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { never } from '../../../synthetic/source.ts'
import { loadNative } from '../../fixtures/node/native.ts'
import { type Ran, verge } from '../../fixtures/node/verge.ts'

const REVIEWS = join(ROOT, 'models/reviews')
const TEXTS = [
  { text: 'A wonderful film: funny, moving and beautifully played.', label: 1 },
  { text: 'The worst two hours of my life. Boring, badly acted and far too long.', label: 0 },
  { text: 'Great music, great actors, and a story that stays with you.', label: 1 },
  { text: 'Awful. The plot makes no sense, and nobody cares.', label: 0 },
]
const OTHERS = [
  { text: 'Splendid photography cannot rescue this dreadful remake.', label: 0 },
  { text: 'An enchanting, hilarious masterpiece with superb dialogue!', label: 1 },
]

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-trim-'))
  const lines = (texts: readonly object[]): string => texts.map((each) => JSON.stringify(each)).join('\n')
  await writeFile(join(folder, 'texts.jsonl'), lines(TEXTS))
  await writeFile(join(folder, 'others.jsonl'), lines(OTHERS))
  await writeFile(join(folder, 'empty.jsonl'), '\n')
  await writeFile(join(folder, 'bytes.txt'), Uint8Array.of(0xff, 0xfe, 0, 0xd8))
  await writeFile(join(folder, 'lines.jsonl'), 'a text\n')
  await writeFile(
    join(folder, 'tensors.jsonl'),
    lines([{ inputs: [ids('input_ids', [2, 5000]), ids('attention_mask', [1, 1])] }]),
  )
  await mkdir(join(folder, 'bare'))
  await writeFile(join(folder, 'bare/model.onnx'), readFileSync(join(REVIEWS, 'model.onnx')))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const ids = (name: string, data: number[]) => ({ name, datatype: 'INT64', shape: [1, data.length], data })

const quantize = (...args: string[]): Promise<Ran> =>
  verge(['quantize', REVIEWS, '--file', 'model.onnx', '--out', 'small.onnx', ...args], { cwd: folder })

interface Summary {
  readonly trimming: Trimming
  readonly notes: readonly string[]
  readonly tokenizer: string
}

describe('trimming the shipped model of reviews to its texts', () => {
  it('keeps the tokens and the answers', async () => {
    const { code, stderr, stdout } = await quantize(
      ...['--keep-corpus', 'texts.jsonl', '--samples', 'texts.jsonl', '--dtype', 'fp32', '--json'],
    )
    expect({ code, stderr }).toMatchObject({ code: 0 })
    const { tokenizer, trimming } = JSON.parse(stdout) as Summary
    expect(trimming.loss).toMatchObject({ samples: 4, tokensKept: 1, samplesUnchanged: 1, metric: 'accuracy' })
    expect(trimming.loss?.value).toBe(trimming.loss?.baseline)
    expect(trimming.tokens).toMatchObject({ before: 21_542 })
    expect(trimming.tokens.after).toBeLessThan(400)
    expect(trimming.tables.after / trimming.tables.before).toBeLessThan(0.02)
    expect(trimming.tokenizerJson.after).toBeLessThan(10_000)

    const [before, after] = [
      TextTokenizer.parse(readFileSync(join(REVIEWS, 'tokenizer.json'))),
      TextTokenizer.parse(await readFile(join(folder, tokenizer))),
    ]
    const [original, small] = [
      await loadNative(readFileSync(join(REVIEWS, 'model.onnx'))),
      await loadNative(await readFile(join(folder, 'small.onnx'))),
    ]
    try {
      for (const { text } of TEXTS) {
        const [old, now] = [before.encode(text, 512), after.encode(text, 512)]
        expect(now.ids.map((id) => after.tokenText(id))).toEqual(old.ids.map((id) => before.tokenText(id)))
        expect(await answer(small, now.ids)).toEqual(await answer(original, old.ids))
      }
    } finally {
      original.dispose()
      small.dispose()
    }
  })

  it('reports what other texts lose', async () => {
    const { stdout } = await quantize(
      '--keep-corpus',
      'texts.jsonl',
      '--samples',
      'others.jsonl',
      '--json',
      '--dry-run',
    )
    const { notes, tokenizer, trimming } = JSON.parse(stdout) as Summary
    expect(trimming.loss?.tokensKept).toBeLessThan(0.9)
    expect(trimming.loss?.samplesUnchanged).toBe(0)
    expect(tokenizer).toBeNull()
    expect(notes.join('\n')).toContain('of the tokens stay, 0.0 % of 2 samples have the same tokens')
  })

  it('keeps the drop within --max-drop, or refuses', async () => {
    // Of two answers on four samples each is 25 points or more.
    const { code, stderr } = await quantize(
      ...['--vocabulary', '110', '--samples', 'texts.jsonl', '--max-drop', '1', '--dry-run'],
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /Trimming the vocabulary alone loses \d+\.\d\d points on the samples, more than --max-drop 1/,
    )
  })
})

async function answer(session: Awaited<ReturnType<typeof loadNative>>, numbers: readonly number[]) {
  const whole = (values: readonly number[]) => tensor('INT64', [1, values.length], BigInt64Array.from(values, BigInt))
  const inputs = new Map([
    ['input_ids', whole(numbers)],
    ['attention_mask', whole(numbers.map(() => 1))],
  ])
  return (await session.run(inputs, { signal: never() })).get('logits')?.data
}

describe('what cannot be trimmed', () => {
  it.each([
    ['an unknown language', ['--languages', 'en,xx'], '--languages does not know "xx"'],
    ['no language', ['--languages', 'en,'], '--languages takes codes separated by commas'],
    ['an empty corpus', ['--keep-corpus', 'empty.jsonl'], 'has no texts'],
    ['no corpus', ['--keep-corpus', 'gone.jsonl'], 'cannot be read (ENOENT)'],
    ['a corpus of another kind', ['--keep-corpus', 'bare/model.onnx'], 'takes .jsonl or .txt files'],
    ['a corpus of other bytes', ['--keep-corpus', 'bytes.txt'], '--keep-corpus bytes.txt: it cannot be read'],
    ['a corpus of other lines', ['--keep-corpus', 'lines.jsonl'], '--keep-corpus lines.jsonl line 1: it is not JSON'],
    ['a corpus of tensors', ['--keep-corpus', 'tensors.jsonl'], 'it has no text'],
    ['too few tokens', ['--vocabulary', '5'], 'Give at least 1'],
    [
      'samples with tokens that are gone',
      ['--vocabulary', '200', '--samples', 'tensors.jsonl'],
      'the token 5000 is not in the trimmed vocabulary',
    ],
  ])('is %s', async (_, options, message) => {
    const { code, stderr } = await quantize(...options)
    expect(stderr).toContain(message)
    expect(code).toBe(1)
  })

  it('is a model without a tokenizer', async () => {
    const { code, stderr } = await verge(['quantize', 'bare', '--languages', 'en'], { cwd: folder })
    expect(stderr).toContain('The model has no tokenizer.json')
    expect(code).toBe(1)
  })

  it('is a model that generates text', async () => {
    const { code, stderr } = await verge(
      ['quantize', join(ROOT, 'models/abacus'), '--file', 'model.onnx', '--languages', 'en'],
      { cwd: folder },
    )
    expect(stderr).toContain('The vocabulary of a model that generates text cannot be trimmed')
    expect(code).toBe(1)
  })
})
