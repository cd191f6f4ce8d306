import { describe, expect, it } from 'vitest'
import { WorkerLink, type WorkerLinkOptions } from '../../../src/browser/client/worker-link.ts'
import type { ToWorker, WorkerEvent } from '../../../src/browser/messages.ts'
import { FakeWebWorker } from '../../fixtures/fake-web-worker.ts'

const USAGE = { kind: 'memory', usedBytes: 0, quotaBytes: 1, models: [] } as const

function linkOver(
  answer: (message: ToWorker) => ReturnType<ConstructorParameters<typeof FakeWebWorker>[0]>,
  more: Partial<WorkerLinkOptions> = {},
) {
  const workers: FakeWebWorker[] = []
  const events: WorkerEvent[] = []
  let lost = 0
  const link = new WorkerLink({
    spawn: async () => {
      const worker = new FakeWebWorker((message) => (message.call === 'start' ? null : answer(message)))
      workers.push(worker)
      return worker
    },
    start: { protocol: 1, base: 'https://verge.test' },
    notStarted: () => 'It did not start.',
    onEvent: (event) => void events.push(event),
    onLost: () => lost++,
    ...more,
  })
  return { link, workers, events, lost: () => lost }
}

describe('WorkerLink', () => {
  it('starts one worker for all calls, and matches answers with calls', async () => {
    const { link, workers } = linkOver((message) =>
      message.call === 'missing' ? { missingBytes: Number(message.takes.digest) } : null,
    )
    const calls = [3, 1, 2].map((digest) => link.call('missing', { digest: String(digest) }))
    expect(await Promise.all(calls)).toEqual([3, 1, 2].map((missingBytes) => ({ missingBytes })))
    expect(workers).toHaveLength(1)
    expect(workers[0]?.received[0]).toMatchObject({ call: 'start', takes: { base: 'https://verge.test' } })
  })

  it('fails with the failure of the call', async () => {
    const { link } = linkOver(() => Object.assign(new Error('No room.'), { code: 'engine_full' }))
    await expect(link.call('load', { digest: 'a' })).rejects.toMatchObject({ code: 'engine_full', message: 'No room.' })
  })

  it('cancels a call, and ignores its late answer', async () => {
    const { link, workers } = linkOver(() => undefined)
    const leaving = new AbortController()
    const call = link.call('load', { digest: 'a' }, { signal: leaving.signal })
    await expect.poll(() => workers[0]?.received.length).toBe(2)
    leaving.abort()
    await expect(call).rejects.toMatchObject({ code: 'cancelled' })
    const id = workers[0]?.received[1]?.id ?? 0
    expect(workers[0]?.received[2]).toEqual({ id, call: 'cancel' })
    workers[0]?.say({ id, gives: null })
    const gone = link.call('load', { digest: 'a' }, { signal: leaving.signal })
    await expect(gone).rejects.toMatchObject({ code: 'cancelled' })
  })

  it.each(['error', 'messageerror', 'lock'])('notices a worker that ended (%s), and starts another', async (how) => {
    let release = (): void => {}
    const ended = () =>
      new Promise<void>((resolve) => {
        release = resolve
      })
    const more = how === 'lock' ? { ended, lockName: () => 'life' } : {}
    const { link, lost, workers } = linkOver((message) => (message.call === 'storage' ? USAGE : undefined), more)
    const call = link.call('load', { digest: 'a' })
    await expect.poll(() => workers[0]?.received.length).toBe(2)
    if (how === 'error') workers[0]?.onerror?.({ message: 'out of memory' })
    else if (how === 'messageerror') workers[0]?.onmessageerror?.()
    else release()
    await expect(call).rejects.toMatchObject({ code: 'engine_aborted' })
    expect([lost(), workers[0]?.terminated]).toEqual([1, true])
    expect(await link.call('storage', null)).toEqual(USAGE)
    expect(workers).toHaveLength(2)
  })

  it('says so where a worker does not start, and tries again', async () => {
    let refuse = true
    const { link, workers } = linkOver(() => USAGE, {
      spawn: async () => {
        const worker = new FakeWebWorker((message) => (refuse ? undefined : message.call === 'start' ? null : USAGE))
        workers.push(worker)
        if (refuse) queueMicrotask(() => setImmediate(() => worker.onerror?.({})))
        return worker
      },
    })
    await expect(link.call('storage', null)).rejects.toMatchObject({
      code: 'engine_unsupported',
      message: 'It did not start.',
    })
    refuse = false
    expect(await link.call('storage', null)).toEqual(USAGE)
    expect(workers.map(({ terminated }) => terminated)).toEqual([true, false])
  })

  it('ends with the page: the worker, what it does, and all later calls', async () => {
    const { link, workers } = linkOver(() => undefined)
    const call = link.call('load', { digest: 'a' })
    await expect.poll(() => workers[0]?.received.length).toBe(2)
    link.dispose()
    await expect(call).rejects.toMatchObject({ code: 'cancelled' })
    await expect.poll(() => workers[0]?.terminated).toBe(true)
    await expect(link.call('storage', null)).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('passes on what the worker says unasked', async () => {
    const { events, link, workers } = linkOver(() => USAGE)
    await link.call('storage', null)
    workers[0]?.say({ event: 'damaged', model: 'reviews' })
    expect(events).toEqual([{ event: 'damaged', model: 'reviews' }])
  })
})
