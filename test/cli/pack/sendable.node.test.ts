import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildSettings } from '../../../src/cli/build/arguments.ts'
import { buildModel } from '../../../src/cli/build/build.ts'
import { buildContext } from '../../../src/cli/build/context.ts'
import { pack } from '../../../src/cli/pack/packer.ts'
import { onnxModel, type ValueInfo } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const x: ValueInfo = { name: 'x', datatype: 'FP32', shape: ['n'] }
const y: ValueInfo = { name: 'y', datatype: 'FP32', shape: ['n'] }
const sum = { op: 'Identity', inputs: ['x'], outputs: ['y'] }

/** `x` -> `y`, and another input that takes part in `z`. */
const withInput = (input: ValueInfo, op: string, attributes = {}): Uint8Array<ArrayBuffer> =>
  onnxModel({
    opset: 21,
    irVersion: 10,
    inputs: [x, input],
    outputs: [y, { name: 'z', datatype: op === 'OptionalHasElement' ? 'BOOL' : op === 'Cast' ? 'FP32' : 'INT64' }],
    nodes: [sum, { op, inputs: [input.name], outputs: ['z'], attributes }],
  })
const asFloat = { to: { int: 1 } }

const INPUTS = [
  [
    'a sequence',
    withInput({ name: 's', datatype: 'FP32', shape: ['n'], kind: 'sequence' }, 'SequenceLength'),
    's',
    'a sequence of tensors of float',
  ],
  [
    'an optional',
    withInput({ name: 'o', datatype: 'FP32', shape: ['n'], kind: 'optional' }, 'OptionalHasElement'),
    'o',
    'an optional value of tensors of float',
  ],
  ['4 bits', withInput({ name: 'w', datatype: 22, shape: ['n'] }, 'Cast', asFloat), 'w', 'a tensor of int4'],
  ['bfloat16', withInput({ name: 'b', datatype: 16, shape: ['n'] }, 'Cast', asFloat), 'b', 'a tensor of bfloat16'],
] as const

const base = { name: 'm', version: '1', licence: 'MIT', visibility: 'private', hot: true } as const
const packed = (bytes: Uint8Array) =>
  pack({ ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32' }] }, '', new Map([['model.onnx', bytes]]))

async function built(bytes: Uint8Array): Promise<unknown> {
  const file = join(folder, 'model.onnx')
  await writeFile(file, bytes)
  return buildModel(file, buildSettings({ verify: false, measure: false }), buildContext(never(), true))
}

describe('an input that no request can hold', () => {
  it.each(INPUTS)('is refused by name and kind when it is pushed: %s', async (_, bytes, name, kind) => {
    const message = expect.stringContaining(`Input "${name}" is ${kind}, which a request cannot contain.`) as string
    await expect(built(bytes)).rejects.toMatchObject({ code: 'unsupported', message })
    await expect(packed(bytes)).rejects.toMatchObject({ code: 'model_invalid', message })
  })
})

describe('an output that no answer can hold', () => {
  it.each([
    ['4 bits', 21, 'uint4'],
    ['bfloat16', 16, 'bfloat16'],
  ] as const)('is refused by name and kind: %s', async (_, datatype, kind) => {
    const bytes = onnxModel({
      opset: 21,
      irVersion: 10,
      inputs: [x],
      outputs: [y, { name: 'z', datatype, shape: ['n'] }],
      nodes: [sum, { op: 'Cast', inputs: ['x'], outputs: ['z'], attributes: { to: { int: datatype } } }],
    })
    const message = expect.stringContaining(
      `Output "z" is a tensor of ${kind}, which an answer cannot contain.`,
    ) as string
    await expect(built(bytes)).rejects.toMatchObject({ message })
    await expect(packed(bytes)).rejects.toMatchObject({ message })
  })

  it('is left out where it is a sequence beside a tensor, and refused where it is all there is', async () => {
    const pieces: ValueInfo = { name: 'pieces', datatype: 'FP32', shape: ['n'], kind: 'sequence' }
    const construct = { op: 'SequenceConstruct', inputs: ['x', 'x'], outputs: ['pieces'] }
    const both = onnxModel({ inputs: [x], outputs: [pieces, y], nodes: [construct, sum] })
    expect((await packed(both)).manifest.outputs.map(({ datatype }) => datatype)).toEqual([null, 'FP32'])
    const alone = onnxModel({ inputs: [x], outputs: [pieces], nodes: [construct] })
    await expect(packed(alone)).rejects.toMatchObject({
      message: expect.stringMatching(
        /no output that an answer can contain: "pieces" is a sequence of tensors of float/,
      ),
    })
  })
})
