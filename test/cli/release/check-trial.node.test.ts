import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { checkTrial } from '../../../src/cli/release/check-trial.ts'

const MiB = 1024 * 1024
const digest = (letter: string): string => letter.repeat(64)

const alias: Alias = {
  schema: 1,
  model: 'm',
  generation: 5,
  visibility: 'private',
  versions: { '1': digest('a'), '2': digest('b') },
  live: [{ version: '1', weight: 1 }],
}

function artifact(version: string, memoryBytes?: number): Manifest['artifacts'][number] {
  return {
    sha256: digest(version),
    bytes: MiB,
    chunks: [],
    id: 'a',
    format: 'verge',
    dtype: 'q8',
    places: ['edge'],
    memoryBytes,
  }
}

function manifest(version: string, more: Partial<Manifest> = {}): Manifest {
  return {
    schema: 1,
    model: 'm',
    version,
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
    artifacts: [artifact(version)],
    ...more,
  }
}

interface Script {
  readonly one?: Partial<Manifest>
  readonly other?: Partial<Manifest>
  readonly old?: Alias['canary']
  readonly shadow?: number
  readonly force?: boolean
}

function check({ force = false, old, one, other, shadow }: Script) {
  const versions = new Map([
    ['1', manifest('1', one)],
    ['2', manifest('2', other)],
  ])
  const asked: string[] = []
  const reader = {
    async manifest(_model: string, version: string, found: string): Promise<Manifest> {
      asked.push(found)
      return versions.get(version) ?? manifest(version)
    },
  }
  const canary = { version: '2', against: '1', guarded: true, ...(shadow && { shadow }) }
  const before = { ...alias, ...(old && { canary: old }) }
  return { asked, lines: checkTrial(reader, before, { ...alias, canary }, { force }) }
}

const misfit: Partial<Manifest> = { inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 8] }] }

describe('checkTrial', () => {
  it('says nothing of versions that are alike', async () => {
    const { asked, lines } = check({ shadow: 0.1 })
    expect(await lines).toEqual([])
    expect(asked).toEqual([digest('a'), digest('b')])
  })

  it('refuses a canary whose callers would be refused, and says what to do', async () => {
    await expect(check({ other: misfit }).lines).rejects.toThrow(
      /^Version 2 of model "m" does not take the requests of version 1[^\n]*\n {2}input "x": FP32 \[batch, 4\] in version 1, FP32 \[batch, 8\] in 2\n[\s\S]*verge release m 2[\s\S]*--force$/,
    )
  })

  it('begins it all the same, and says what comparisons make of it', async () => {
    const lines = await check({ other: misfit, force: true, shadow: 0.1 }).lines
    expect(lines).toEqual([
      'not the same (--force): input "x": FP32 [batch, 4] in version 1, FP32 [batch, 8] in 2',
      expect.stringMatching(/^--shadow: Outputs of another form count as disagreement, .* use --no-guard\.$/),
    ])
  })

  it('was asked already where the trial goes on with another share', async () => {
    const old = { version: '2', against: '1', guarded: true }
    const { asked, lines } = check({ other: misfit, old })
    expect([await lines, asked]).toEqual([[], []])
  })

  it.each<[string, Partial<Manifest>, Partial<Manifest>, RegExp]>([
    ['at an origin', { placement: 'origin' }, {}, /^--shadow: Requests that an origin is given whole are not compared/],
    [
      'that do not fit into an isolate together',
      { artifacts: [artifact('1', 40 * MiB)] },
      { artifacts: [artifact('2', 40 * MiB)] },
      /^--shadow: At the edge nothing is compared: the two versions take 80\.00 MiB of memory together/,
    ],
    [
      'with tensors that a comparison cannot hold',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2 * MiB] }] },
      { inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2 * MiB] }] },
      /^--shadow: Nothing is compared: inputs and outputs of a request take at least 8\.00 MiB/,
    ],
    [
      'whose tokens differ',
      { task: 'text-generation', files: { 'tokenizer.json': { sha256: digest('a'), bytes: 1, chunks: [] } } },
      { task: 'text-generation', files: { 'tokenizer.json': { sha256: digest('b'), bytes: 1, chunks: [] } } },
      /^--shadow: Texts are not compared: the tokenizers of the versions differ/,
    ],
  ])('says what is never compared of versions %s', async (_name, one, other, line) => {
    expect(await check({ one, other }).lines).toEqual([])
    expect(await check({ one, other, shadow: 0.1 }).lines).toEqual([expect.stringMatching(line)])
    // It is said, too, where comparisons begin later.
    const old = { version: '2', against: '1', guarded: true }
    expect(await check({ one, other, old, shadow: 0.1 }).lines).toEqual([expect.stringMatching(line)])
  })
})
