import { describe, expect, it } from 'vitest'
import { DATATYPES, type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { artifactOf, loadNative, nativeEngine, sourceOf } from '../fixtures/node/native.ts'
import { sampleTensor } from '../fixtures/onnx.ts'
import * as models from '../fixtures/onnx-models.ts'

const signal = new AbortController().signal

function run(session: Session, inputs: Record<string, Tensor>, outputs?: readonly string[]): Promise<Tensors> {
  return session.run(new Map(Object.entries(inputs)), outputs ? { outputs, signal } : { signal })
}

const floats = (...values: number[]): Tensor => tensor('FP32', [values.length], Float32Array.from(values))

describe('native engine: datatypes', () => {
  for (const datatype of DATATYPES) {
    it(`passes ${datatype} through: matrices, scalars and zero-length dimensions`, async () => {
      for (const [symbolic, shape] of [
        [
          ['n', 3],
          [2, 3],
        ],
        [[], []],
        [
          ['n', 3],
          [0, 3],
        ],
      ] as const) {
        const session = await loadNative(models.identityModel(datatype, symbolic))
        expect(session.signature.inputs).toEqual([{ name: 'input', datatype, shape: symbolic }])
        const input = sampleTensor(datatype, shape)
        expect((await run(session, { input })).get('output')).toEqual(input)
        session.dispose()
      }
    })
  }

  it('names symbolic dimensions, and gives -1 for those without a name', async () => {
    const session = await loadNative(models.identityModel('FP32', ['batch', 3, -1]))
    expect(session.signature.outputs[0]?.shape).toEqual(['batch', 3, -1])
  })

  it('refuses strings that the runtime would cut short', async () => {
    const session = await loadNative(models.identityModel('BYTES', ['n']))
    await expect(run(session, { input: tensor('BYTES', [1], ['a\u0000b']) })).rejects.toMatchObject({
      code: 'invalid_tensor',
    })
  })
})

describe('native engine: outputs', () => {
  it('answers the outputs asked for, in the order asked for', async () => {
    const session = await loadNative(models.arithmeticModel())
    const inputs = { a: floats(5, 6), b: floats(2, 3) }
    expect([...(await run(session, inputs)).keys()]).toEqual(['sum', 'difference', 'product'])
    const some = await run(session, inputs, ['product', 'sum'])
    expect([...some]).toEqual([
      ['product', floats(10, 18)],
      ['sum', floats(7, 9)],
    ])
  })

  it('refuses what is not a tensor only where it is asked for', async () => {
    for (const [model, name] of [
      [models.sequenceModel(), 'pieces'],
      [models.optionalModel(), 'maybe'],
    ] as const) {
      const session = await loadNative(model)
      expect(session.signature.outputs).toEqual([
        { name, datatype: null, shape: [] },
        { name: 'same', datatype: 'FP32', shape: ['n'] },
      ])
      const x = floats(1, 2)
      expect((await run(session, { x }, ['same'])).get('same')).toEqual(x)
      await expect(run(session, { x }, [name])).rejects.toMatchObject({ code: 'unsupported_output' })
      await expect(run(session, { x })).rejects.toMatchObject({ code: 'unsupported_output' })
    }
  })
})

describe('native engine: bad input', () => {
  it('names what is unknown or missing', async () => {
    const session = await loadNative(models.arithmeticModel())
    const a = floats(1)
    await expect(run(session, { a, b: a, c: a })).rejects.toMatchObject({ code: 'unknown_input' })
    await expect(run(session, { a })).rejects.toMatchObject({
      code: 'missing_input',
      message: expect.stringContaining('"b"'),
    })
    await expect(run(session, { a, b: a }, ['quotient'])).rejects.toMatchObject({ code: 'unknown_output' })
  })

  it('answers a run that the model rejects without paths, and runs the next', async () => {
    const session = await loadNative(models.lookupModel(64_000, 7))
    const row = (value: bigint): Tensor => tensor('INT64', [1], BigInt64Array.of(value))
    await expect(run(session, { row: row(1_000_000n) })).rejects.toMatchObject({
      code: 'run_rejected',
      message: expect.stringMatching(/^[^/\\]*out of data bounds[^/\\]*$/),
    })
    const values = (await run(session, { row: row(17n) })).get('values')
    expect(values?.data).toEqual(models.lookupRow(17, 7))
  })

  it('refuses files that are no models, and models with unknown operators', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(1000).fill(7), models.unknownOperatorModel()]) {
      await expect(loadNative(bytes)).rejects.toMatchObject({ code: 'model_invalid' })
    }
    await expect(loadNative(models.arithmeticModel(), 'ort')).rejects.toMatchObject({ code: 'model_invalid' })
  })

  it('refuses weights that are longer than they should be', async () => {
    const model = models.arithmeticModel()
    const artifact = { ...artifactOf(model), bytes: model.length - 1 }
    await expect(nativeEngine().load(artifact, sourceOf(model), { signal })).rejects.toMatchObject({
      code: 'weights_corrupt',
    })
  })
})

describe('native engine: life of a session', () => {
  it('runs callers in turn, and honours a signal while waiting', async () => {
    const session = await loadNative(models.loopModel())
    const inputs = {
      times: tensor('INT64', [], BigInt64Array.of(2000n)),
      x: tensor('FP32', [1, 256], new Float32Array(256)),
    }
    const leaver = new AbortController()
    const first = run(session, inputs)
    const second = session.run(new Map(Object.entries(inputs)), { signal: leaver.signal })
    const third = run(session, inputs)
    leaver.abort()
    await expect(second).rejects.toMatchObject({ code: 'cancelled' })
    expect((await first).get('y')?.shape).toEqual([1, 256])
    expect((await third).get('y')?.shape).toEqual([1, 256])
  })

  it('says that a disposed session is lost, to those waiting too', async () => {
    const session = await loadNative(models.arithmeticModel())
    const waiting = run(session, { a: floats(1), b: floats(1) })
    session.dispose()
    session.dispose()
    expect(session.alive).toBe(false)
    await expect(waiting).rejects.toMatchObject({ code: 'session_lost' })
    await expect(run(session, { a: floats(1), b: floats(1) })).rejects.toMatchObject({ code: 'session_lost' })
  })

  it('does not load for a caller who has left', async () => {
    const model = models.arithmeticModel()
    await expect(
      nativeEngine().load(artifactOf(model), sourceOf(model), { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'cancelled' })
  })
})
