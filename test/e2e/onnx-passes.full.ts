import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isVergeError } from '../../src/core/errors.ts'
import { ARRAY_TYPES, type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import { datatypeOf } from '../../src/engine/ort/marshal.ts'
import { decodeModel, decodeTensor } from '../../src/onnx/codec.ts'
import { DataType, dimsOf, rawBytesOf } from '../../src/onnx/data.ts'
import { runPasses } from '../../src/onnx/pass.ts'
import { cleaning } from '../../src/onnx/passes/clean.ts'
import { dropDead } from '../../src/onnx/passes/drop-dead.ts'
import type { ModelProto, TensorProto } from '../../src/onnx/schema/onnx_pb.js'
import { toFp16 } from '../../src/quantize/fp16/fp16.ts'
import { never } from '../../synthetic/source.ts'
import { plainEngine, runModel } from '../fixtures/node/run-onnx.ts'

/** The models of ONNX's own tests of single operators, each with inputs. */
const ARCHIVE = join(import.meta.dirname, '../../../shared/conformance/onnx-node-v1.20.1-half.tar.gz')
const SKIP_REASON = '../shared/conformance is missing'

/** Results that differ from run to run. */
const RANDOM = /test_bernoulli|dropout|random/

describe.skipIf(!existsSync(ARCHIVE))(`passes on ONNX's conformance tests (skipped only where ${SKIP_REASON})`, () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'verge-conformance-'))
    execFileSync('tar', ['-xzf', ARCHIVE, '-C', folder])
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('keep every answer, cleaned and in half precision', async () => {
    const wrong: string[] = []
    let [ran, halved] = [0, 0]
    for (const name of readdirSync(folder).filter((each) => !RANDOM.test(each))) {
      const model = decodeModel(readFileSync(join(folder, name, 'model.onnx')))
      const inputs = inputsOf(model, join(folder, name, 'test_data_set_0'))
      const expected = inputs && (await answersOf(model, inputs))
      if (inputs === undefined || expected === undefined) continue
      ran++
      const clean = await runPasses(model, cleaning({ engine: plainEngine() }), { signal: never() })
      // Nodes that become constants are computed by the same kernels.
      const first = difference(expected, await runModel(clean.model, inputs))
      if (first > 1e-6) wrong.push(`${name}, cleaned: ${first}`)
      const half = await runPasses(clean.model, [toFp16(), dropDead], { signal: never() })
      if (half.applied.length === 0) continue
      halved++
      // Halves round by 2^-11 at most: inputs, results, and what a few steps between add to it.
      const second = difference(expected, await runModel(half.model, inputs))
      if (second > 8 * 2 ** -11) wrong.push(`${name}, in halves: ${second}`)
    }
    expect(wrong).toEqual([])
    console.info(`${ran} models answer the same when cleaned; ${halved} of them were brought to half precision`)
    expect(ran).toBeGreaterThan(650)
    expect(halved).toBeGreaterThan(400)
  })
})

/** Undefined where an input is no tensor, or of a type that the engine's protocol lacks. */
function inputsOf({ graph }: ModelProto, folder: string): Tensors | undefined {
  const inputs = new Map<string, Tensor>()
  for (const [index, { name, type }] of (graph?.input ?? []).entries()) {
    const file = join(folder, `input_${index}.pb`)
    if (type?.value.case !== 'tensorType' || !existsSync(file)) return undefined
    const given = tensorOf(decodeTensor(readFileSync(file)))
    if (given === undefined) return undefined
    inputs.set(name, given)
  }
  // Outputs of these types end the process in ONNX Runtime's Node binding.
  const fatal: readonly number[] = [DataType.UINT4, DataType.INT4]
  const types = graph?.output.map(({ type }) => (type?.value.case === 'tensorType' ? type.value.value.elemType : 0))
  return types?.some((type) => fatal.includes(type)) ? undefined : inputs
}

function tensorOf(proto: TensorProto): Tensor | undefined {
  const datatype = datatypeOf(proto.dataType)
  if (datatype === null) return undefined
  if (datatype === 'BYTES') {
    const strings = proto.stringData.map((item) => new TextDecoder().decode(item))
    return tensor(datatype, dimsOf(proto), strings)
  }
  const data = new ARRAY_TYPES[datatype](rawBytesOf(proto).slice().buffer)
  return { datatype, shape: dimsOf(proto), data } as unknown as Tensor
}

/** Undefined where ONNX Runtime has no kernel for the model, or gives out what is no tensor. */
async function answersOf(model: ModelProto, inputs: Tensors): Promise<Tensors | undefined> {
  try {
    return await runModel(model, inputs)
  } catch (error) {
    if (isVergeError(error)) return undefined
    throw error
  }
}

/** Largest difference of floats as a share of the largest one; infinite where anything else differs. */
function difference(expected: Tensors, actual: Tensors): number {
  let worst = 0
  for (const [name, right] of expected) {
    const given = actual.get(name)
    if (!isDeepStrictEqual(given?.shape, right.shape)) return Number.POSITIVE_INFINITY
    if (right.datatype !== 'FP32' || given?.datatype !== 'FP32') {
      if (!isDeepStrictEqual(given, right)) return Number.POSITIVE_INFINITY
      continue
    }
    const finite = right.data.filter(Number.isFinite).map(Math.abs)
    const largest = finite.reduce((most, value) => Math.max(most, value), 1e-6)
    for (const [index, value] of right.data.entries()) {
      const other = given.data[index] as number
      if (value === other || (Number.isNaN(value) && Number.isNaN(other))) continue
      const error = Math.abs(value - other) / largest
      worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error)
    }
  }
  return worst
}
