import { describe, expect, it } from 'vitest'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import type { Session } from '../../../src/engine/engine.ts'
import { chooseProvider, TRIAL_MODEL } from '../../../src/engine/native/provider.ts'
import type { Provider } from '../../../src/engine/native/support.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import * as models from '../../../synthetic/onnx-models.ts'
import { engineContract } from '../../contract/engine.ts'
import { loadNative, nativeEngine } from '../../fixtures/node/native.ts'

const signal = new AbortController().signal

function run(session: Session, inputs: Record<string, Tensor>, outputs?: readonly string[]): Promise<Tensors> {
  return session.run(new Map(Object.entries(inputs)), outputs ? { outputs, signal } : { signal })
}

const floats = (...values: number[]): Tensor => tensor('FP32', [values.length], Float32Array.from(values))

engineContract('native', nativeEngine, {
  opensNoForeignTypes: 'onnxruntime-node describes no such values',
})

describe('native engine', () => {
  it('refuses optional outputs as it does sequences, though the runtime would unpack them', async () => {
    const session = await loadNative(models.optionalModel())
    const x = floats(1, 2)
    expect(session.signature.outputs[0]).toEqual({ name: 'maybe', datatype: null, shape: [] })
    expect((await run(session, { x }, ['same'])).get('same')).toEqual(x)
    expect(await run(session, { x })).toEqual(new Map([['same', x]]))
    await expect(run(session, { x }, ['maybe'])).rejects.toMatchObject({ code: 'unsupported_output' })
  })

  it('refuses strings that the runtime would cut short', async () => {
    const session = await loadNative(models.identityModel('BYTES', ['n']))
    await expect(run(session, { input: tensor('BYTES', [1], ['a\u0000b']) })).rejects.toMatchObject({
      code: 'invalid_tensor',
    })
  })

  it('refuses an ONNX file that is said to be in ORT format', async () => {
    await expect(loadNative(models.arithmeticModel(), 'ort')).rejects.toMatchObject({ code: 'model_invalid' })
  })

  it('refuses what is larger than it takes', async () => {
    const artifact = { sha256: '', format: 'onnx', bytes: 3 * 2 ** 30 } as const
    const source = { bytes: artifact.bytes, deliver: () => Promise.reject(new Error('not to be asked for')) }
    await expect(nativeEngine().load(artifact, source, { signal })).rejects.toMatchObject({ code: 'model_too_large' })
  })

  it('runs callers in turn, and honours a signal while one waits', async () => {
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

  it('says to those who wait that a session has been disposed of', async () => {
    const session = await loadNative(models.arithmeticModel())
    const waiting = run(session, { a: floats(1), b: floats(1) })
    session.dispose()
    await expect(waiting).rejects.toMatchObject({ code: 'session_lost' })
  })
})

describe('providers', () => {
  it('are tried with a small product', () => {
    const row = { datatype: 'FP32', shape: [1, 2] } as const
    const model = onnxModel({
      inputs: [{ name: 'x', ...row }],
      outputs: [{ name: 'y', ...row }],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: tensor('FP32', [2, 2], Float32Array.of(1, 2, 3, 4)) },
    })
    expect(TRIAL_MODEL).toBe(Buffer.from(model).toString('base64'))
  })

  it('are not tried where the processor is wanted first', async () => {
    const tried: (Provider | null)[] = []
    const choice = await chooseProvider(['cpu', 'cuda'], (provider) => tried.push(provider))
    expect(choice).toEqual({ provider: 'cpu', refused: [] })
    expect(tried).toEqual([])
  })
})
