import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ModelFacts, readSamples } from '../../../src/cli/samples/read.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-samples-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const manifest: ModelFacts = {
  model: 'files',
  version: '1',
  task: 'bytes-classification',
  labels: ['python', 'zip'],
  bytes: {
    begin: 4,
    middle: 0,
    end: 4,
    blockSize: 16,
    padding: 256,
    strip: true,
    minBytes: 2,
    fallback: { text: 'txt', binary: 'unknown' },
  },
  inputs: [{ name: 'bytes', datatype: 'INT32', shape: ['N', 8] }],
  outputs: [{ name: 'scores', datatype: 'FP32', shape: ['N', 2] }],
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true })
  await writeFile(join(folder, path), content)
}

describe('samples for a model of files', () => {
  it('are files of any type, in folders called like their labels', async () => {
    await write('python/code.py', ' import sys\n')
    await write('zip/archive', 'PK\u0003\u0004')
    const samples = await readSamples(folder, { manifest })
    expect(samples.map(({ label }) => label)).toEqual([0, 1])
    const numbers = (text: string): Int32Array => Int32Array.from(text, (character) => character.charCodeAt(0))
    expect(samples[0]?.inputs.get('bytes')).toEqual({ datatype: 'INT32', shape: [1, 8], data: numbers('impo sys') })
    expect(samples[1]?.inputs.get('bytes')?.data).toEqual(numbers('PK\u0003\u0004PK\u0003\u0004'))
  })

  it('are refused, with their place, where the model would not be asked', async () => {
    await write('python/code.py', 'x')
    await expect(readSamples(folder, { manifest })).rejects.toThrow(
      /bad samples: python\/code.py: The input is too short/,
    )
  })
})
