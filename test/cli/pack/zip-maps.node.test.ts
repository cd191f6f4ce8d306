import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildSettings } from '../../../src/cli/build/arguments.ts'
import { buildContext } from '../../../src/cli/build/context.ts'
import { loadModel } from '../../../src/cli/build/load.ts'
import { describeLoaded } from '../../../src/cli/build/samples.ts'
import { pack } from '../../../src/cli/pack/packer.ts'
import { referenceSession } from '../../../src/cli/verify/reference.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { runPasses } from '../../../src/onnx/pass.ts'
import { dropZipMaps } from '../../../src/onnx/passes/drop-zip-maps.ts'
import { type ModelSpec, type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'

const ML = { domain: 'ai.onnx.ml' } as const

/** Three classes by a linear classifier without a transform: its scores are the products, which can be reckoned here. */
const classifier: NodeSpec = {
  ...ML,
  op: 'LinearClassifier',
  inputs: ['X'],
  outputs: ['label', 'p'],
  attributes: {
    coefficients: { floats: [1, 0, 0, 1, 1, 1] },
    intercepts: { floats: [0, 0.5, -10] },
    classlabels_ints: { ints: [10, 20, 30] },
  },
}
const zip: NodeSpec = {
  ...ML,
  op: 'ZipMap',
  inputs: ['p'],
  outputs: ['probability'],
  attributes: { classlabels_int64s: { ints: [10, 20, 30] } },
}

/** What skl2onnx writes by default: FP32 `X` [N, 2] -> INT64 `label`, and a sequence of maps, `probability`. */
function zipped(
  nodes: readonly NodeSpec[] = [classifier, zip],
  more: Partial<ModelSpec> = {},
): Uint8Array<ArrayBuffer> {
  return onnxModel({
    inputs: [{ name: 'X', datatype: 'FP32', shape: ['N', 2] }],
    outputs: [
      { name: 'label', datatype: 'INT64', shape: ['N'] },
      { name: 'probability', datatype: 'FP32', kind: 'map' },
    ],
    nodes,
    domains: { 'ai.onnx.ml': 1 },
    ...more,
  })
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const X = tensor('FP32', [2, 2], Float32Array.of(1, 2, 30, 4))
const SCORES = [1, 2.5, -7, 30, 4.5, 24]

async function scoresOf(bytes: Uint8Array) {
  const session = await referenceSession(bytes, never())
  const outputs = await session.run(new Map([['X', X]]), { signal: never() })
  session.dispose()
  return outputs
}

describe('a ZipMap', () => {
  it('is what makes an output no tensor', async () => {
    const session = await referenceSession(zipped(), never())
    expect(session.signature.outputs[1]).toMatchObject({ name: 'probability', datatype: null })
  })

  it('is taken off: the output keeps its name and gives the scores', async () => {
    const { model, applied } = await runPasses(decodeModel(zipped()), [dropZipMaps], { signal: never() })
    expect(applied).toHaveLength(1)
    const session = await referenceSession(encodeModel(model), never())
    expect(session.signature.outputs).toEqual([
      { name: 'label', datatype: 'INT64', shape: ['N'] },
      { name: 'probability', datatype: 'FP32', shape: [expect.anything(), 3] },
    ])
    const outputs = await scoresOf(encodeModel(model))
    expect(outputs.get('probability')).toEqual(tensor('FP32', [2, 3], Float32Array.from(SCORES)))
    expect(outputs.get('label')).toEqual(tensor('INT64', [2], BigInt64Array.of(20n, 10n)))
  })

  it('is left where another node reads the maps', async () => {
    const reader: NodeSpec = { op: 'SequenceLength', inputs: ['probability'], outputs: ['rows'] }
    const bytes = zipped([classifier, zip, reader])
    expect((await runPasses(decodeModel(bytes), [dropZipMaps], { signal: never() })).applied).toEqual([])
  })

  it('is taken off on the way to a push, and names the labels', async () => {
    const file = join(folder, 'model.onnx')
    await writeFile(file, zipped())
    const loaded = await loadModel(file, buildContext(never(), true))
    expect(loaded.signature.outputs.map(({ datatype }) => datatype)).toEqual(['INT64', 'FP32'])
    const raw = await describeLoaded(loaded)
    expect(raw.description).toMatchObject({ labels: ['10', '20', '30'] })
    expect(raw.description.task).toBeUndefined()
    expect(raw.notes.join('\n')).toMatch(/ZipMap removed: .*\[rows, 3\], of the classes 10, 20, 30/)
    const table = await describeLoaded(loaded, buildSettings({ task: 'tabular-classification' }).model)
    expect(table.description).toMatchObject({ task: 'tabular-classification', labels: ['10', '20', '30'] })
  })

  it('is taken off a folder that is pushed as it is', async () => {
    const base = { name: 'm', version: '1', licence: 'MIT', visibility: 'private', hot: true } as const
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
    const texts: NodeSpec = { ...zip, attributes: { classlabels_strings: { strings: ['a', 'b', 'ü'] } } }
    const bytes = zipped([classifier, texts])
    const { manifest, notes, chunks } = await pack({ ...base, artifacts }, '', new Map([['model.onnx', bytes]]))
    expect(manifest.outputs.map(({ datatype }) => datatype)).toEqual(['INT64', 'FP32'])
    expect(manifest.labels).toEqual(['a', 'b', 'ü'])
    expect(notes[0]).toMatch(/^model\.onnx: ZipMap removed/)
    const plain = manifest.artifacts.find(({ format }) => format === 'onnx')
    const stored = Buffer.concat((plain?.chunks ?? []).map(({ sha256 }) => chunks.get(sha256) ?? new Uint8Array(0)))
    expect((await scoresOf(stored)).get('probability')?.data).toEqual(Float32Array.from(SCORES))
  })
})
