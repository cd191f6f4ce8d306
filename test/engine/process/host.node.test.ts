import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { EngineHost } from '../../../src/engine/process/host.ts'
import { receiveError, sendError } from '../../../src/engine/process/protocol.ts'
import { artifactOf } from '../../../synthetic/source.ts'
import { causalModel, expectedLogits } from '../../fixtures/causal-models.ts'
import { nativeEngine } from '../../fixtures/node/native.ts'

async function hostWithModel(): Promise<EngineHost> {
  const host = new EngineHost(nativeEngine())
  const model = causalModel()
  const total = model.length
  host.notice({ kind: 'bytes', session: 1, total, offset: 1000, data: model.subarray(1000) })
  host.notice({ kind: 'bytes', session: 1, total, offset: 0, data: model.subarray(0, 1000) })
  await host.answer({ kind: 'open', session: 1, artifact: await artifactOf(model) })
  return host
}

const feed = (sequence: number, ...tokens: number[]) => ({ kind: 'feed', session: 1, sequence, tokens }) as const

describe("the child's side", () => {
  it('keeps sequences apart, and forgets one that has ended', async () => {
    const host = await hostWithModel()
    expect(await host.answer(feed(1, 3, 4))).toEqual(Float32Array.from(expectedLogits([3, 4])))
    expect(await host.answer(feed(2, 7))).toEqual(Float32Array.from(expectedLogits([7])))
    expect(await host.answer(feed(1, 5))).toEqual(Float32Array.from(expectedLogits([3, 4, 5])))
    host.notice({ kind: 'end', sequence: 1 })
    expect(await host.answer(feed(1, 5))).toEqual(Float32Array.from(expectedLogits([5])))
    expect(await host.answer(feed(2, 8))).toEqual(Float32Array.from(expectedLogits([7, 8])))
  })

  it('forgets a sequence whose step failed', async () => {
    const host = await hostWithModel()
    await host.answer(feed(1, 3))
    await expect(host.answer(feed(1, 99))).rejects.toMatchObject({ code: 'run_rejected' })
    expect(await host.answer(feed(1, 4))).toEqual(Float32Array.from(expectedLogits([4])))
  })

  it('drops a session with its sequences, and weights that were never opened', async () => {
    const host = await hostWithModel()
    await host.answer(feed(1, 3))
    host.notice({ kind: 'close', session: 1 })
    await expect(host.answer(feed(1, 4))).rejects.toMatchObject({ code: 'session_lost' })
    const model = causalModel()
    host.notice({ kind: 'bytes', session: 2, total: model.length, offset: 0, data: model })
    host.notice({ kind: 'close', session: 2 })
    const opening = host.answer({ kind: 'open', session: 2, artifact: await artifactOf(model) })
    await expect(opening).rejects.toMatchObject({ code: 'model_invalid' })
  })
})

describe('errors between processes', () => {
  it('arrive as they were sent, with what lies underneath as text', () => {
    const sent = new VergeError('model_too_large', 'It is too large.', {
      details: { bytes_needed: 5 },
      retryAfter: 2,
      cause: new Error('underneath'),
    })
    const received = receiveError(structuredClone(sendError(sent)))
    expect(received).toMatchObject({
      code: 'model_too_large',
      message: 'It is too large.',
      details: { bytes_needed: 5 },
      retryAfter: 2,
      cause: expect.stringContaining('underneath'),
    })
  })

  it('that are not ours say nothing of what lies underneath', () => {
    const received = receiveError(structuredClone(sendError(new TypeError('secret'))))
    expect(received).toMatchObject({ code: 'internal', cause: expect.stringContaining('secret') })
    expect(received.message).not.toContain('secret')
  })
})
