import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { differencesOf } from '../../../src/cli/release/differences.ts'

type Change = Partial<Manifest>

const blob = (digit: string) => ({ sha256: digit.repeat(64), bytes: 1, chunks: [] })

function between(one: Change, other: Change) {
  const base: Manifest = {
    schema: 1,
    model: 'm',
    version: '1',
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
    artifacts: [],
  }
  return differencesOf({ known: { ...base, ...one }, next: { ...base, version: '2', ...other } })
}

const tensor = (name: string, shape: (number | string)[], datatype: 'FP32' | 'FP16' = 'FP32') => ({
  name,
  datatype,
  shape,
})
const embedding = { pooling: 'mean', normalize: true } as const
const generation = { contextLength: 512, stopTokens: [0] }
const text = { maxTokens: 128 }
const column = (name: string, missing?: number) => ({ name, ...(missing !== undefined && { missing }) })

describe('differencesOf', () => {
  it.each<[string, Change, Change, RegExp]>([
    ['another task', { task: 'text-classification' }, {}, /^task: text-classification in version 1, none in 2$/],
    ['an input less', {}, { inputs: [] }, /^input "x": version 2 does not have it$/],
    ['an input more', {}, { inputs: [tensor('x', ['n', 4]), tensor('z', [1])] }, /^input "z": version 2 requires it$/],
    [
      'another length',
      {},
      { inputs: [tensor('x', ['batch', 8])] },
      /^input "x": FP32 \[batch, 4\] in version 1, FP32 \[batch, 8\] in 2$/,
    ],
    [
      'a fixed length',
      {},
      { inputs: [tensor('x', [1, 4])] },
      /^input "x": FP32 \[batch, 4\] in version 1, FP32 \[1, 4\] in 2$/,
    ],
    ['another rank', {}, { inputs: [tensor('x', ['batch', 1, 4])] }, /^input "x"/],
    ['another type', {}, { inputs: [tensor('x', ['batch', 4], 'FP16')] }, /FP16 \[batch, 4\] in 2$/],
    ['an output less', {}, { outputs: [tensor('z', ['batch', 2])] }, /^output "y": version 2 does not have it$/],
    ['a longer output', {}, { outputs: [tensor('y', ['batch', 3])] }, /^output "y": FP32 \[batch, 2\] in version 1/],
    ['a label less', { labels: ['a', 'b'] }, { labels: ['a'] }, /^labels: version 2 does not have "b"$/],
    ['many labels less', { labels: [...'abcde'] }, {}, /does not have "a", "b", "c" and 2 more$/],
    [
      'labels in another order',
      { labels: ['a', 'b'] },
      { labels: ['b', 'a'] },
      /^labels: number 0 is "a" in version 1 and "b" in 2$/,
    ],
    [
      'another mask token',
      { text: { ...text, maskToken: '[MASK]' } },
      { text: { ...text, maskToken: '<mask>' } },
      /^mask token: "\[MASK\]" in version 1, "<mask>" in 2$/,
    ],
    [
      'a shorter context',
      { generation },
      { generation: { ...generation, contextLength: 256 } },
      /^context: 512 tokens in version 1, 256 in 2$/,
    ],
    [
      'no chats',
      { generation, files: { 'chat_template.jinja': blob('a') } },
      { generation, files: {} },
      /^chats: version 2 has no chat template$/,
    ],
    [
      'a prompt less',
      { embedding: { ...embedding, prompts: { query: 'q: ', passage: 'p: ' } } },
      { embedding: { ...embedding, prompts: { query: 'q: ' } } },
      /^prompts: version 2 does not have "passage"$/,
    ],
    [
      'a size less',
      { embedding: { ...embedding, dimensions: [64, 128] } },
      { embedding: { ...embedding, dimensions: [128] } },
      /^dimensions: version 2 does not have "64"$/,
    ],
    [
      'a column that must be there',
      { tabular: { columns: [column('a')] } },
      { tabular: { columns: [column('a'), column('b')] } },
      /^column "b": version 2 requires it$/,
    ],
    [
      'no empty cells',
      { tabular: { columns: [column('a', 0)] } },
      { tabular: { columns: [column('a')] } },
      /^column "a": version 2 takes no empty cells$/,
    ],
  ])('refuses %s', (_name, one, other, line) => {
    expect(between(one, other).breaking).toEqual([expect.stringMatching(line)])
  })

  it.each<[string, Change, Change, readonly string[]]>([
    ['nothing else', {}, {}, []],
    ['an open length for a fixed one', { inputs: [tensor('x', [1, 4])] }, {}, []],
    ['an output more', {}, { outputs: [tensor('y', ['batch', 2]), tensor('z', [1])] }, ['output "z" is new']],
    [
      'labels at the end, and outputs longer by them',
      { labels: ['a', 'b'] },
      { labels: ['a', 'b', 'c'], outputs: [tensor('y', ['batch', 3])] },
      ['labels: "c" are new'],
    ],
    ['first labels', {}, { labels: ['a', 'b'] }, ['labels: 2, where version 1 has none']],
    ['longer texts', { text }, { text: { maxTokens: 256 } }, ['texts are cut after 256 tokens instead of 128']],
    [
      'a larger model that writes texts',
      { task: 'text-generation', generation },
      { task: 'text-generation', generation, inputs: [tensor('x', ['batch', 4]), tensor('past.1', [1])] },
      ['input "past.1": version 2 requires it'],
    ],
    [
      'another chat template',
      { generation, files: { 'chat_template.jinja': blob('a') } },
      { generation, files: { 'chat_template.jinja': blob('b') } },
      ['the chat template is another one'],
    ],
    [
      'a column that may be empty',
      { tabular: { columns: [column('a')] } },
      { tabular: { columns: [column('a'), column('b', 0)] } },
      ['column "b" is new'],
    ],
  ])('notes %s', (_name, one, other, lines) => {
    expect(between(one, other)).toEqual({ breaking: [], harmless: lines })
  })

  it('shows no control characters of a model', () => {
    expect(between({ labels: ['\u001b[31m'] }, { labels: [] }).breaking[0]).not.toContain('\u001b')
  })
})
