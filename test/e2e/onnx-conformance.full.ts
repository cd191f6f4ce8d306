import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { referenceSession } from '../../src/cli/verify/reference.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { decodeModel, decodeTensor, encodeModel } from '../../src/onnx/codec.ts'
import { DataType, dimsOf, rawBytesOf } from '../../src/onnx/data.ts'
import { isOnnxError } from '../../src/onnx/errors.ts'
import type { ModelProto, TensorProto } from '../../src/onnx/schema/onnx_pb.js'
import { validateModel } from '../../src/onnx/validate.ts'
import { never } from '../../synthetic/source.ts'

/** The models of ONNX's own node tests, each with inputs. */
const ARCHIVE = join(import.meta.dirname, '../../../shared/conformance/onnx-node-v1.20.1-half.tar.gz')
const haveArchive = existsSync(ARCHIVE)
const SKIP_REASON = '../shared/conformance is missing'

describe.skipIf(!haveArchive)(`ONNX's conformance tests (skipped only where ${SKIP_REASON})`, () => {
  let folder = ''
  let models: readonly string[] = []

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'verge-conformance-'))
    execFileSync('tar', ['-xzf', ARCHIVE, '-C', folder])
    models = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('model.onnx'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('come out the same, and give ONNX Runtime the same bits', async () => {
    expect(models.length).toBeGreaterThan(800)
    let ran = 0
    for (const name of models) {
      const bytes = readFileSync(join(folder, name))
      const decoded = decodeModel(bytes)
      const encoded = encodeModel(decoded)
      expect(isDeepStrictEqual(decodeModel(encoded), decoded), name).toBe(true)
      const feeds = feedsOf(join(folder, name, '..', 'test_data_set_0'), decoded)
      if (feeds === undefined) continue
      const [before, after] = [await outputs(bytes, feeds), await outputs(encoded, feeds)]
      expect(isDeepStrictEqual(after, before), name).toBe(true)
      if (typeof before !== 'string') ran++
    }
    console.info(`${models.length} models come out the same; ONNX Runtime ran ${ran} of them before and after`)
    expect(ran).toBeGreaterThan(500)
  })

  it('load in the reference, which runs graphs as they are written, where ONNX Runtime loads them at all', async () => {
    let loaded = 0
    for (const name of models) {
      const bytes = readFileSync(join(folder, name))
      const optimized = await InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 }).catch(
        () => {},
      )
      if (optimized === undefined) continue
      await optimized.release()
      const session = await referenceSession(bytes, never()).catch((error: unknown) => {
        // Types that the binding has no words for are another matter.
        if (!isVergeError(error, 'engine_unsupported')) throw new Error(name, { cause: error })
      })
      session?.dispose()
      loaded++
    }
    expect(loaded).toBeGreaterThan(700)
  })

  it('are valid, but for those that ONNX Runtime refuses', async () => {
    const refused: string[] = []
    for (const name of models) {
      const bytes = readFileSync(join(folder, name))
      try {
        validateModel(decodeModel(bytes))
      } catch (error) {
        if (!isOnnxError(error)) throw error
        expect(await outputs(bytes, {}), `${name}: ${error.message}`).toMatch(
          /not a registered function|No Op registered/,
        )
        refused.push(name)
      }
    }
    expect(refused.length).toBeLessThan(10)
  })
})

/** Operators whose results differ from run to run. */
const RANDOM = /test_bernoulli|test_training_dropout/

/** Types that end the process where ONNX Runtime's Node binding meets them in an output. */
const FATAL: readonly number[] = [DataType.UINT4, DataType.INT4]

/** The inputs of a test as ONNX Runtime's Node binding takes them; undefined if it does not. */
function feedsOf(folder: string, { graph }: ModelProto): Record<string, OrtTensor> | undefined {
  const files = readdirSync(folder).filter((name) => name.startsWith('input_'))
  if (files.length === 0 || RANDOM.test(folder)) return undefined
  const types = graph?.output.map(({ type }) => (type?.value.case === 'tensorType' ? type.value.value.elemType : 0))
  if (types?.some((type) => FATAL.includes(type))) return undefined
  const feeds: Record<string, OrtTensor> = {}
  for (const [index, input] of (graph?.input ?? []).entries()) {
    const path = join(folder, `input_${index}.pb`)
    if (input.type?.value.case !== 'tensorType' || !existsSync(path)) return undefined
    const tensor = ortTensor(decodeTensor(readFileSync(path)))
    if (tensor === undefined) return undefined
    feeds[input.name] = tensor
  }
  return feeds
}

function ortTensor(tensor: TensorProto): OrtTensor | undefined {
  const dims = dimsOf(tensor)
  if (tensor.dataType === DataType.STRING) {
    return new OrtTensor(
      'string',
      tensor.stringData.map((item) => new TextDecoder().decode(item)),
      dims,
    )
  }
  const { buffer } = rawBytesOf(tensor).slice()
  switch (tensor.dataType) {
    case DataType.FLOAT:
      return new OrtTensor('float32', new Float32Array(buffer), dims)
    case DataType.DOUBLE:
      return new OrtTensor('float64', new Float64Array(buffer), dims)
    case DataType.FLOAT16:
      return new OrtTensor('float16', new Uint16Array(buffer), dims)
    case DataType.INT64:
      return new OrtTensor('int64', new BigInt64Array(buffer), dims)
    case DataType.INT32:
      return new OrtTensor('int32', new Int32Array(buffer), dims)
    case DataType.INT8:
      return new OrtTensor('int8', new Int8Array(buffer), dims)
    case DataType.UINT8:
      return new OrtTensor('uint8', new Uint8Array(buffer), dims)
    case DataType.BOOL:
      return new OrtTensor('bool', new Uint8Array(buffer), dims)
    default:
      return undefined
  }
}

/** What a model gives, or why it does not. */
async function outputs(bytes: Uint8Array, feeds: Record<string, OrtTensor>): Promise<unknown> {
  try {
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 })
    try {
      const results = await session.run(feeds)
      return Object.fromEntries(Object.entries(results).map(([name, { dims, data }]) => [name, { dims, data }]))
    } finally {
      await session.release()
    }
  } catch (error) {
    return (error as Error).message
  }
}
