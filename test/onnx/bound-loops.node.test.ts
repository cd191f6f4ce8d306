import { describe, expect, it } from 'vitest'
import { toOrtFormat } from '../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../src/cli/pack/edge-engine.ts'
import { boundedFile } from '../../src/cli/pack/loops.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { type BoundOptions, boundLoops } from '../../src/onnx/bound-loops.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { validateModel } from '../../src/onnx/validate.ts'
import { type ModelSpec, onnxModel, type ValueInfo } from '../../synthetic/onnx.ts'
import { loopModel } from '../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../synthetic/source.ts'

const COST = LIMITS.requestCost
const scalar = (name: string, datatype: 'INT64' | 'BOOL' | 'FP32' = 'INT64'): ValueInfo => ({
  name,
  datatype,
  shape: [],
})
const int = (value: number): Tensor => tensor('INT64', [], BigInt64Array.of(BigInt(value)))
const yes = tensor('BOOL', [], Uint8Array.of(1))

type Body = Omit<ModelSpec, 'opset' | 'irVersion' | 'domains'>

/** Adds one to a sum at each step, for as long as `again` says. */
function countingBody(again: Body['nodes'] = [{ op: 'Identity', inputs: ['going'], outputs: ['again'] }]): Body {
  return {
    inputs: [scalar('step'), scalar('going', 'BOOL'), scalar('sum')],
    outputs: [scalar('again', 'BOOL'), scalar('more')],
    nodes: [...again, { op: 'Add', inputs: ['sum', 'one'], outputs: ['more'] }],
  }
}

interface Counting {
  readonly before?: ModelSpec['nodes']
  readonly count?: string
  readonly condition?: string
  readonly body?: Body
  readonly initializers?: Record<string, Tensor>
}

/** INT64 `n` [] -> `total` []: how many steps a loop took. */
function counter({
  before = [],
  count = 'n',
  condition = '',
  body = countingBody(),
  initializers = {},
}: Counting = {}) {
  return onnxModel({
    inputs: [scalar('n')],
    outputs: [scalar('total')],
    nodes: [
      ...before,
      { op: 'Loop', inputs: [count, condition, 'zero'], outputs: ['total'], attributes: { body: { graph: body } } },
    ],
    initializers: { zero: int(0), one: int(1), ...initializers },
  })
}

/** Goes on while the sum is below `n`. */
const untilReached = countingBody([{ op: 'Less', inputs: ['sum', 'n'], outputs: ['again'] }])

async function stepsOf(model: Uint8Array, options: Partial<BoundOptions>, n: number) {
  const bounded = boundLoops(decodeModel(model), { cost: COST, ...options })
  validateModel(bounded.model)
  const { bytes } = await toOrtFormat(encodeModel(bounded.model))
  const engine = await edgeEngine()
  const session = await engine.load(await artifactOf(bytes, 'ort'), sourceOf(bytes), { signal: never() })
  return session.run(new Map([['n', int(n)]]), { signal: never() }).then(
    (outputs) => Number(outputs.get('total')?.data[0]),
    (error: { code: string; details?: Record<string, unknown> }) => [error.code, error.details?.limit_steps],
  )
}

describe('loops at the edge', () => {
  it.each([
    ['a number that is sent', {}],
    [
      'a number that is sent, by way of nodes that keep it',
      {
        before: [
          { op: 'Cast', inputs: ['n'], outputs: ['wide'], attributes: { to: { int: 7 } } },
          { op: 'Identity', inputs: ['wide'], outputs: ['count'] },
        ],
        count: 'count',
      },
    ],
    [
      'a number that is computed',
      { before: [{ op: 'Mul', inputs: ['n', 'one'], outputs: ['count'] }], count: 'count' },
    ],
    ['a condition without a number', { count: '', body: untilReached }],
    ['a condition within a huge number', { count: 'huge', body: untilReached, initializers: { huge: int(2 ** 40) } }],
    ['a condition that is given at the start', { condition: 'yes', initializers: { yes } }],
  ] satisfies [string, Counting][])('end at their bound: %s', async (_, given) => {
    const model = counter(given)
    // A condition is tested after its step.
    const extra = 'body' in given ? 1 : 0
    expect(await stepsOf(model, { steps: 10 }, 7)).toBe(7 + extra)
    expect(await stepsOf(model, { steps: 10 }, 10 - extra)).toBe(10)
    expect(await stepsOf(model, { steps: 10 }, 0)).toBe(extra)
    expect(await stepsOf(model, { steps: 10 }, 12)).toEqual(['cost_too_high', 10])
    expect(await stepsOf(model, { steps: 10 }, 1_000_000_000_000)).toEqual(['cost_too_high', 10])
  })

  it('take a number below zero as none', async () => {
    expect(await stepsOf(counter(), { steps: 10 }, -3)).toBe(0)
  })

  it('get a bound by what their steps cost, if nobody states one', () => {
    const bound = (model: Uint8Array) => boundLoops(decodeModel(model), { cost: COST }).loops
    const [sent] = bound(counter())
    expect(sent).toMatchObject({ input: 'n' })
    expect((sent?.steps ?? 0) * (sent?.cost ?? 0)).toBeLessThanOrEqual(COST)
    expect((sent?.steps ?? 0) * (sent?.cost ?? 0)).toBeGreaterThan(0.9 * COST)
    const [computed] = bound(counter({ count: '', body: untilReached }))
    expect(computed?.input).toBeUndefined()
    expect(computed?.steps).toBe(4096)
    // Sixty-five thousand weights a step cost more than an addition.
    expect(bound(loopModel())[0]?.cost).toBeGreaterThan((sent?.cost ?? 0) + 0.1)
  })

  it('are bounded inside one another, so that all steps together are', async () => {
    const nested = counter({
      body: {
        inputs: [scalar('step'), scalar('going', 'BOOL'), scalar('sum')],
        outputs: [scalar('again', 'BOOL'), scalar('more')],
        nodes: [
          { op: 'Identity', inputs: ['going'], outputs: ['again'] },
          {
            op: 'Loop',
            inputs: ['n', '', 'sum'],
            outputs: ['more'],
            attributes: {
              body: {
                graph: {
                  inputs: [scalar('inner_step'), scalar('inner_going', 'BOOL'), scalar('inner_sum')],
                  outputs: [scalar('inner_again', 'BOOL'), scalar('inner_more')],
                  nodes: [
                    { op: 'Identity', inputs: ['inner_going'], outputs: ['inner_again'] },
                    { op: 'Add', inputs: ['inner_sum', 'one'], outputs: ['inner_more'] },
                  ],
                },
              },
            },
          },
        ],
      },
    })
    expect(await stepsOf(nested, { steps: 10 }, 5)).toBe(25)
    expect(await stepsOf(nested, { steps: 10 }, 11)).toEqual(['cost_too_high', 10])
    const { loops } = boundLoops(decodeModel(nested), { cost: COST })
    expect(loops).toHaveLength(1)
    expect((loops[0]?.steps ?? 0) * (loops[0]?.cost ?? 0)).toBeLessThanOrEqual(COST)
  })

  it('stay as they are where their number of steps is fixed', async () => {
    const model = counter({ count: 'seven', initializers: { seven: int(7) } })
    const decoded = decodeModel(model)
    expect(boundLoops(decoded, { cost: COST, steps: 3 }).loops).toEqual([])
    expect(boundedFile(model, 'model.onnx', 3).bytes).toBe(model)
    expect(await stepsOf(model, { steps: 3 }, 0)).toBe(7)
  })

  it('leave the model given as it was, and run the same', async () => {
    const bytes = loopModel()
    const original = decodeModel(bytes)
    const { model } = boundLoops(original, { cost: COST, steps: 100 })
    expect(encodeModel(original)).toEqual(encodeModel(decodeModel(bytes)))
    const engine = await edgeEngine()
    const answers = await Promise.all(
      [bytes, encodeModel(model)].map(async (each) => {
        const session = await engine.load(await artifactOf(each), sourceOf(each), { signal: never() })
        const x = tensor('FP32', [1, 256], new Float32Array(256).fill(0.1))
        return (
          await session.run(
            new Map<string, Tensor>([
              ['times', int(20)],
              ['x', x],
            ]),
            { signal: never() },
          )
        ).get('y')?.data
      }),
    )
    expect(answers[0]).toEqual(answers[1])
  })

  it('are packed with a bound for the edge alone, and the manifest says what a step costs', async () => {
    const description = {
      name: 'loops',
      version: '1',
      hot: true,
      licence: 'MIT',
      artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
    }
    const packed = await pack(description, '', new Map([['model.onnx', loopModel()]]))
    const [edge, plain] = packed.manifest.artifacts
    expect(edge?.loops).toMatchObject([{ input: 'times' }])
    expect(plain?.loops).toBeUndefined()
    expect(plain?.bytes).toBe(loopModel().length)
    expect(packed.notes.join()).toMatch(/a loop whose number of steps is the input "times" takes at most \d+ steps/)
    const stated = await pack({ ...description, loopSteps: 50 }, '', new Map([['model.onnx', loopModel()]]))
    expect(stated.manifest.artifacts[0]?.loops).toMatchObject([{ steps: 50 }])
  })
})
