import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { InferenceSession } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { ONNX_TYPE } from '../../../src/engine/ort/marshal.ts'
import { decodeModel, decodeTensor, encodeModel } from '../../../src/onnx/codec.ts'
import { DataType } from '../../../src/onnx/data.ts'
import { graphsOf } from '../../../src/onnx/graph.ts'
import { inferTypes } from '../../../src/onnx/infer/infer.ts'
import type { Dim, ValueType } from '../../../src/onnx/infer/types.ts'
import { runPasses } from '../../../src/onnx/pass.ts'
import { cleaning } from '../../../src/onnx/passes/clean.ts'
import { dropDead } from '../../../src/onnx/passes/drop-dead.ts'
import { type ModelProto, ValueInfoProtoSchema } from '../../../src/onnx/schema/onnx_pb.js'
import { weightOnly4 } from '../../../src/quantize/products/weight-only.ts'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import { type ModelSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { haveRealModels, SKIP_REASON } from '../../fixtures/node/real-models.ts'
import { GRAPH_MODELS, graphModel, inputsOf, loadModel, type Sizes } from '../../fixtures/node/run-onnx.ts'

/** ONNX's own tests of single operators, beside the repository: models with declared and with right answers. */
const CONFORMANCE = join(import.meta.dirname, '../../../../shared/conformance/onnx-node-v1.20.1-half.tar.gz')

/** The model with every value of its own graph as an output; those in `except` are no tensors that the engine gives out. */
function opened(model: ModelProto, values: readonly string[]): ModelProto {
  if (!model.graph) throw new Error('no graph')
  const known = new Set(model.graph.output.map(({ name }) => name))
  const more = values.filter((name) => !known.has(name)).map((name) => create(ValueInfoProtoSchema, { name }))
  return { ...model, graph: { ...model.graph, output: [...model.graph.output, ...more] } }
}

/** What speaks against an inferred type, once the value has been seen. */
function contradiction(found: ValueType, actual: Tensor, sizes: Sizes): string | undefined {
  const type = ONNX_TYPE[actual.datatype]
  if (found.elementType !== DataType.UNDEFINED && found.elementType !== type) return `type ${found.elementType}`
  if (found.shape === undefined) return undefined
  const fits = (dim: Dim, index: number): boolean =>
    dim === null || (typeof dim === 'number' ? dim : sizes.get(dim)) === actual.shape[index]
  if (found.shape.length !== actual.shape.length || !found.shape.every(fits)) return `shape [${found.shape}]`
  const elements = actual.data
  const wrong = found.values?.some((value, index) => {
    const expected = typeof value === 'string' ? sizes.get(value) : value
    return expected !== null && Number(elements[index]) !== expected
  })
  return wrong ? `elements ${found.values}` : undefined
}

/** Which shares of all graphs' values have a type, and a rank. */
function coverage(model: ModelProto): { readonly typed: number; readonly ranked: number } {
  const types = inferTypes(model)
  const all = graphsOf(model).flatMap(({ graph }) =>
    graph.node.flatMap(({ output }) => output.filter((value) => value !== '').map((value) => types.of(graph, value))),
  )
  const known = (test: (type: ValueType) => boolean): number => all.filter(test).length / all.length
  return {
    typed: known(({ elementType }) => elementType !== DataType.UNDEFINED),
    ranked: known(({ shape }) => shape !== undefined),
  }
}

/** What is wrong of the types inferred for a model, after a run that gives out every value of its own graph. */
async function faults(model: ModelProto): Promise<string[]> {
  const { graph } = model
  if (!graph) throw new Error('no graph')
  const types = inferTypes(model)
  const values = graph.node.flatMap(({ output }) => output.filter((value) => value !== ''))
  const session = await loadModel(opened(model, values))
  const sizes: Sizes = new Map()
  const outputs = await session.run(inputsOf(session, sizes), { signal: never() })
  session.dispose()
  return values.flatMap((value) => {
    const actual = outputs.get(value)
    if (actual === undefined) return [`${value} was not given out`]
    const fault = contradiction(types.of(graph, value), actual, sizes)
    return fault ? [`${value}: ${fault}, but ${actual.datatype} [${actual.shape}]`] : []
  })
}

/** The model as ONNX Runtime's optimizer leaves it, with its own operators. */
async function optimized(model: ModelProto): Promise<ModelProto> {
  const folder = mkdtempSync(join(tmpdir(), 'verge-'))
  try {
    const file = join(folder, 'model.onnx')
    const session = await InferenceSession.create(encodeModel(model), {
      graphOptimizationLevel: 'extended',
      optimizedModelFilePath: file,
      logSeverityLevel: 4,
    })
    await session.release()
    return decodeModel(readFileSync(file))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Declared types of the values between are taken away: they must be found. */
function undeclared(model: ModelProto): ModelProto {
  if (model.graph) model.graph.valueInfo = []
  return model
}

const names = Object.keys(GRAPH_MODELS)
describe(haveRealModels ? 'inferred types' : `inferred types (third-party models left out: ${SKIP_REASON})`, () => {
  it.each(names)('of %s hold for every value of a run', async (name) => {
    const model = undeclared(graphModel(name))
    expect(await faults(model)).toEqual([])
    const { typed, ranked } = coverage(model)
    expect(typed).toBeGreaterThanOrEqual(0.95)
    expect(ranked).toBeGreaterThanOrEqual(0.9)
  })

  it.each(names)('of %s hold once ONNX Runtime has put its own operators in', async (name) => {
    const model = undeclared(await optimized(graphModel(name)))
    expect(await faults(model)).toEqual([])
    expect(coverage(model).typed).toBeGreaterThanOrEqual(0.95)
  })

  it('of 4-bit weights hold for every value of a run', async () => {
    for (const name of ['reviews', 'small encoder, fp32']) {
      const passes = [...cleaning(), weightOnly4(), embeddings({ bits: 4 }), dropDead]
      const { model } = await runPasses(graphModel(name), passes, { signal: never() })
      const ops = new Set(model.graph?.node.map(({ opType }) => opType))
      expect([...ops]).toContain('GatherBlockQuantized')
      expect(await faults(undeclared(model))).toEqual([])
      expect(coverage(model).typed).toBe(1)
    }
  })
})

describe.skipIf(!existsSync(CONFORMANCE))(
  "inferred types (skipped only where ONNX's conformance tests are missing)",
  () => {
    let folder = ''
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'verge-'))
      execFileSync('tar', ['xzf', CONFORMANCE, '-C', folder])
    })
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    /** Inputs of a case become constants: what a shape is computed from is then known. */
    function withConstants(model: ModelProto, data: string): void {
      const { graph } = model
      if (!graph) return
      const taken = new Set<string>()
      for (const [index, { name, type }] of graph.input.entries()) {
        const file = join(data, `input_${index}.pb`)
        if (type?.value.case !== 'tensorType' || !existsSync(file)) continue
        graph.initializer.push({ ...decodeTensor(readFileSync(file)), name })
        taken.add(name)
      }
      graph.input = graph.input.filter(({ name }) => !taken.has(name))
    }

    it.each([false, true])('contradict none of the expected outputs (inputs known: %s)', (known) => {
      const wrong: string[] = []
      let seen = 0
      let complete = 0
      for (const name of readdirSync(folder)) {
        const model = decodeModel(readFileSync(join(folder, name, 'model.onnx')))
        const data = join(folder, name, 'test_data_set_0')
        if (known) withConstants(model, data)
        const { graph } = model
        if (!graph) continue
        const declared = graph.output
        graph.output = declared.map((output) => ({ ...output, type: undefined }))
        graph.valueInfo = []
        const types = inferTypes(model)
        for (const [index, output] of declared.entries()) {
          const file = join(data, `output_${index}.pb`)
          if (output.type?.value.case !== 'tensorType' || !existsSync(file)) continue
          const { dataType, dims } = decodeTensor(readFileSync(file))
          const { elementType, shape } = types.of(graph, output.name)
          const typeFits = elementType === DataType.UNDEFINED || elementType === dataType
          const shapeFits =
            shape === undefined ||
            (shape.length === dims.length &&
              shape.every((dim, axis) => typeof dim !== 'number' || dim === Number(dims[axis])))
          if (!typeFits || !shapeFits) wrong.push(`${name}: ${elementType} [${shape}], not ${dataType} [${dims}]`)
          seen++
          if (elementType !== DataType.UNDEFINED && shape !== undefined) complete++
        }
      }
      expect(wrong).toEqual([])
      // What is left: operators without a rule (sequences, strings, image decoding, deformable convolutions ...).
      expect(seen).toBeGreaterThan(800)
      expect(complete / seen).toBeGreaterThan(known ? 0.93 : 0.9)
    })
  },
)

describe('inferred types of single graphs', () => {
  const spec = (fields: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>): ModelProto =>
    decodeModel(
      onnxModel({
        inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3, 8, 8] }],
        outputs: [{ name: 'y', datatype: 'FP32' }],
        ...fields,
      }),
    )
  const one = (value: bigint) => tensor('INT64', [1], BigInt64Array.of(value))
  const typeOf = (model: ModelProto, value = 'y') => {
    if (!model.graph) throw new Error('no graph')
    return inferTypes(model).of(model.graph, value)
  }

  it('follow names of dimensions through the arithmetic of shapes', () => {
    const model = spec({
      nodes: [
        { op: 'Shape', inputs: ['x'], outputs: ['shape'] },
        { op: 'Gather', inputs: ['shape', 'first'], outputs: ['batch'] },
        { op: 'Mul', inputs: ['eight', 'eight'], outputs: ['pixels'] },
        { op: 'Concat', inputs: ['batch', 'three', 'pixels'], outputs: ['wanted'], attributes: { axis: { int: 0 } } },
        { op: 'Reshape', inputs: ['x', 'wanted'], outputs: ['y'] },
      ],
      initializers: { first: one(0n), eight: one(8n), three: one(3n) },
    })
    expect(typeOf(model)).toEqual({ elementType: DataType.FLOAT, shape: ['n', 3, 64] })
    expect(typeOf(model, 'wanted').values).toEqual(['n', 3, 64])
  })

  it('say nothing of operators that are not known, nor of what is malformed, and go on behind them', () => {
    const model = spec({
      domains: { 'com.example': 1 },
      nodes: [
        { op: 'Mystery', domain: 'com.example', inputs: ['x'], outputs: ['a'] },
        { op: 'Transpose', inputs: ['x'], outputs: ['b'], attributes: { perm: { ints: [9, -9] } } },
        { op: 'Relu', inputs: ['a'], outputs: ['c'] },
        { op: 'Split', inputs: [], outputs: ['d'] },
        { op: 'Greater', inputs: ['c', 'd'], outputs: ['y'] },
      ],
    })
    expect(typeOf(model, 'a')).toEqual({ elementType: DataType.UNDEFINED, shape: undefined })
    expect(typeOf(model, 'b')).toEqual({ elementType: DataType.FLOAT, shape: [null, null] })
    expect(typeOf(model)).toEqual({ elementType: DataType.BOOL, shape: undefined })
    expect(typeOf(model, 'nowhere').shape).toBeUndefined()
  })

  const branch = (output: string, nodes: ModelSpec['nodes']) => ({
    graph: { inputs: [], outputs: [{ name: output, datatype: 'FP32' as const }], nodes },
  })

  it('hold for both branches, or for the one that is taken', () => {
    const branches = (condition: string): ModelProto =>
      spec({
        inputs: [
          { name: 'x', datatype: 'FP32', shape: [2, 3] },
          { name: 'c', datatype: 'BOOL', shape: [] },
        ],
        nodes: [
          {
            op: 'If',
            inputs: [condition],
            outputs: ['y'],
            attributes: {
              then_branch: branch('t', [{ op: 'Relu', inputs: ['x'], outputs: ['t'] }]),
              else_branch: branch('e', [
                { op: 'Concat', inputs: ['x', 'x'], outputs: ['e'], attributes: { axis: { int: 1 } } },
              ]),
            },
          },
        ],
        initializers: { no: tensor('BOOL', [], Uint8Array.of(0)) },
      })
    expect(typeOf(branches('c')).shape).toEqual([2, null])
    expect(typeOf(branches('no')).shape).toEqual([2, 6])
  })

  const loop = (
    input: string,
    output: string,
    body: ModelSpec['nodes'],
    result: string,
  ): ModelSpec['nodes'][number] => ({
    op: 'Loop',
    inputs: ['times', '', input],
    outputs: [output],
    attributes: {
      body: {
        graph: {
          inputs: [
            { name: `${output}_i`, datatype: 'INT64', shape: [] },
            { name: `${output}_c`, datatype: 'BOOL', shape: [] },
            { name: `${output}_state`, datatype: 'FP32' },
          ],
          outputs: [
            { name: `${output}_go`, datatype: 'BOOL', shape: [] },
            { name: result, datatype: 'FP32' },
          ],
          nodes: [{ op: 'Identity', inputs: [`${output}_c`], outputs: [`${output}_go`] }, ...body],
        },
      },
    },
  })
  const times = { times: tensor('INT64', [], BigInt64Array.of(3n)) }
  const start = [{ name: 'x', datatype: 'FP32' as const, shape: [1, 4] }]

  it('forget what a loop changes from one iteration to the next', () => {
    const grow: ModelSpec['nodes'] = [
      { op: 'Concat', inputs: ['y_state', 'x'], outputs: ['longer'], attributes: { axis: { int: 0 } } },
    ]
    const model = spec({ inputs: start, nodes: [loop('x', 'y', grow, 'longer')], initializers: times })
    expect(typeOf(model)).toEqual({ elementType: DataType.FLOAT, shape: [null, 4] })
    const [, body] = graphsOf(model)
    if (!body) throw new Error('no body')
    expect(inferTypes(model).of(body.graph, 'longer').shape).toEqual([null, 4])
  })

  it('come to an end for loops inside loops inside loops', () => {
    let node = loop(
      's0',
      'r0',
      [{ op: 'Concat', inputs: ['r0_state', 'x'], outputs: ['last'], attributes: { axis: { int: 0 } } }],
      'last',
    )
    for (let depth = 1; depth <= 30; depth++) {
      const inner = { ...node, inputs: ['times', '', `r${depth}_state`] }
      node = loop('x', `r${depth}`, [inner], `r${depth - 1}`)
    }
    const model = spec({
      inputs: start,
      nodes: [node, { op: 'Identity', inputs: ['r30'], outputs: ['y'] }],
      initializers: times,
    })
    const found = typeOf(model)
    // It may give up, but may not say anything wrong.
    expect([undefined, null]).toContain(found.shape?.[0])
  })
})
