import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compileModel } from '../../src/compile/compile.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { decodeModel, decodeTensor } from '../../src/onnx/codec.ts'
import { DataType, dimsOf, rawBytesOf } from '../../src/onnx/data.ts'
import { isOnnxError } from '../../src/onnx/errors.ts'
import type { ModelProto } from '../../src/onnx/schema/onnx_pb.js'
import { prepareModel } from '../../src/quantize/prepare.ts'
import { never } from '../../synthetic/source.ts'
import { plainEngine, runModel } from '../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../fixtures/node/verge-engine.ts'

/** The models of ONNX's own node tests, each with inputs and the outputs that the standard expects. */
const ARCHIVE = join(import.meta.dirname, '../../../shared/conformance/onnx-node-v1.20.1-half.tar.gz')
const haveArchive = existsSync(ARCHIVE)
const signal = never()

/** Cases whose operators the engine claims. The number grows; docs/engine.md has it. */
const CLAIMED = 251

/** Where ONNX Runtime answers otherwise than the standard, the engine answers as ONNX Runtime does: both may serve a model. */
const AS_ONNX_RUNTIME: ReadonlyMap<string, string> = new Map([
  ['test_l2normalization_axis_0', 'a norm of 0: the standard has NaN, ONNX Runtime 0'],
])

describe.skipIf(!haveArchive)(
  "ONNX's node cases on Verge's own engine (skipped only where ../shared/conformance is missing)",
  () => {
    let folder = ''
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'verge-conformance-'))
      execFileSync('tar', ['-xzf', ARCHIVE, '-C', folder])
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    it('answers each case that it claims as the standard expects, within its tolerance', async () => {
      const engine = vergeEngine()
      const wrong: string[] = []
      let claimed = 0
      for (const name of readdirSync(folder)) {
        const model = decodeModel(readFileSync(join(folder, name, 'model.onnx')))
        const bytes = await compiled(model)
        if (bytes === undefined) continue
        claimed++
        const data = join(folder, name, 'test_data_set_0')
        const session = await loadVerge(engine, bytes)
        const actual = await session.run(inputsOf(model, data), { signal })
        const reference = AS_ONNX_RUNTIME.has(name) ? await runModel(model, inputsOf(model, data)) : undefined
        for (const [index, { name: output }] of (model.graph?.output ?? []).entries()) {
          const standard = read(join(data, `output_${index}.pb`))
          // A deviation that is gone has to leave the list.
          if (reference !== undefined && difference(standard, reference.get(output)) === undefined)
            wrong.push(`${name}, ${output}: ONNX Runtime answers as the standard expects`)
          const fault = difference(reference?.get(output) ?? standard, actual.get(output))
          if (fault !== undefined) wrong.push(`${name}, ${output}: ${fault}`)
        }
        session.dispose()
      }
      console.info(`the engine claims ${claimed} of ${readdirSync(folder).length} cases`)
      expect(wrong).toEqual([])
      expect(claimed).toBeGreaterThanOrEqual(CLAIMED)
    })

    it('is said to claim as many in docs/engine.md', () => {
      const page = readFileSync(join(import.meta.dirname, '../../docs/engine.md'), 'utf8')
      expect(page).toContain(`${CLAIMED} of the 834`)
    })
  },
)

/** Undefined where the engine declines the case. */
async function compiled(model: ModelProto): Promise<Uint8Array | undefined> {
  try {
    const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
    const result = await compileModel(prepared, { signal })
    return result.ok ? result.bytes : undefined
  } catch (error) {
    if (isOnnxError(error)) return undefined
    throw error
  }
}

function inputsOf({ graph }: ModelProto, folder: string): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>()
  for (const [index, { name }] of (graph?.input ?? []).entries()) {
    const path = join(folder, `input_${index}.pb`)
    if (existsSync(path)) inputs.set(name, read(path))
  }
  return inputs
}

function read(path: string): Tensor {
  const proto = decodeTensor(readFileSync(path))
  const dims = dimsOf(proto)
  const { buffer } = rawBytesOf(proto).slice()
  switch (proto.dataType) {
    case DataType.FLOAT:
      return tensor('FP32', dims, new Float32Array(buffer))
    case DataType.FLOAT16:
      return tensor('FP16', dims, new Uint16Array(buffer))
    case DataType.INT64:
      return tensor('INT64', dims, new BigInt64Array(buffer))
    case DataType.INT32:
      return tensor('INT32', dims, new Int32Array(buffer))
    case DataType.BOOL:
      return tensor('BOOL', dims, new Uint8Array(buffer))
    default:
      throw new Error(`${path} is of type ${proto.dataType}, which the engine does not claim`)
  }
}

/** The tolerance of ONNX's own runner: 1e-3 of the value, and 1e-7. */
function difference(expected: Tensor, actual: Tensor | undefined): string | undefined {
  if (actual?.datatype !== expected.datatype || String(actual.shape) !== String(expected.shape)) {
    return `${expected.datatype}[${expected.shape}] expected, ${actual?.datatype}[${actual?.shape}] came`
  }
  const [wanted, given] = [numbers(expected), numbers(actual)]
  for (const [index, value] of wanted.entries()) {
    const other = given[index] as number
    if (Object.is(value, other)) continue
    if (!(Math.abs(value - other) <= 1e-7 + 1e-3 * Math.abs(value))) return `${value} expected, ${other} came`
  }
  return undefined
}

function numbers({ datatype, data }: Tensor): number[] {
  if (datatype === 'FP16') return Array.from(new Float16Array(data.buffer, data.byteOffset, data.length))
  return Array.from(data as ArrayLike<number | bigint>, Number)
}
